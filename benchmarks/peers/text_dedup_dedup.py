"""text-dedup: its `python -m text_dedup.minhash`, with two processes.

Its settings are the defaults but for the threshold, the permutations and `min_length`: at its
default of 5 it drops every document with fewer words. Caches go to a folder of their own, since a
second run over the same file would otherwise only read them. Which member of a cluster it keeps
depends on its union-find; so that the answer can be compared, all but the first document of every
cluster that it found are listed.
"""

import os
import shutil
import tempfile
from pathlib import Path

from common import NGRAM, PERMUTATIONS, THRESHOLD, arguments, documents, write_removed


def main() -> None:
    source, out, _ = arguments()
    folder = Path(tempfile.mkdtemp(dir=out.parent))
    os.environ |= {"HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1"}
    from text_dedup import minhash  # imports datasets, which reads HF_HOME when imported

    options = {
        "path": "json",
        "data_files": source,
        "split": "train",
        "cache_dir": folder / "cache",
        "output": folder / "output",
        "column": "text",
        "threshold": THRESHOLD,
        "num_perm": PERMUTATIONS,
        "ngram": NGRAM,
        "min_length": 1,
        "num_proc": 2,
    }
    minhash.main(
        [word for name, value in options.items() for word in (f"--{name}", str(value))],
        standalone_mode=False,
    )
    seen: set[int] = set()
    removed = []
    for number, row in enumerate(documents(source)):
        cluster = minhash.uf.find(number)
        if cluster in seen:
            removed.append(row["id"])
        seen.add(cluster)
    write_removed(removed, out)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
