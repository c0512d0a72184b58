"""datatrove: its MinHash stages 1 to 3 under LocalPipelineExecutor, two workers.

Stage 4, which writes the documents that are left, is not run: ours writes none either. Its
parallelism is over files, so the input is cut into two first (that costs a blink). Bands and rows
are its defaults, 14 of 8. Which member of a cluster it keeps is an accident of its union-find; so
that the answer can be compared, of every cluster that it found all but the first are listed.
"""

import shutil
import struct
import tempfile
from pathlib import Path

from common import NGRAM, arguments, write_removed
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.dedup import (
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupSignature,
)
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.readers import JsonlReader

WORKERS = 2


def cut(source: Path, folder: Path) -> list[list[str]]:
    """Writes the input as files of about the same size; the ids in each."""
    import orjson

    folder.mkdir()
    parts: list[list[str]] = [[] for _ in range(WORKERS)]
    size = source.stat().st_size
    files = [(folder / f"{number}.jsonl").open("wb") for number in range(WORKERS)]
    position = 0
    with source.open("rb") as lines:
        for line in lines:
            number = min(position * WORKERS // size, WORKERS - 1)
            files[number].write(line)
            parts[number].append(orjson.loads(line)["id"])
            position += len(line)
    for file in files:
        file.close()
    return parts


def run_stages(folder: Path) -> None:
    config = MinhashConfig(n_grams=NGRAM)
    signatures, buckets, clusters = (str(folder / name) for name in ("sig", "buckets", "clusters"))
    stages = [
        (
            [
                JsonlReader(str(folder / "input")),
                MinhashDedupSignature(output_folder=signatures, config=config),
            ],
            WORKERS,
        ),
        ([MinhashDedupBuckets(signatures, buckets, config=config)], config.num_buckets),
        ([MinhashDedupCluster(buckets, clusters, config=config, save_cluster_id=True)], 1),
    ]
    for number, (pipeline, tasks) in enumerate(stages):
        LocalPipelineExecutor(
            pipeline=pipeline,
            tasks=tasks,
            workers=min(WORKERS, tasks),
            logging_dir=str(folder / f"log{number}"),
        ).run()


def removed(folder: Path, parts: list[list[str]]) -> list[str]:
    """All but the first document of every cluster."""
    seen: set[int] = set()
    ids = []
    for part, names in enumerate(parts):
        file = folder / "clusters" / f"{part:06d}.clusters"
        for row, cluster in struct.iter_unpack("<2I", file.read_bytes() if file.exists() else b""):
            if cluster in seen:
                ids.append(names[row])
            seen.add(cluster)
    return ids


def main() -> None:
    source, out, _ = arguments()
    folder = Path(tempfile.mkdtemp(dir=out.parent))
    parts = cut(source, folder / "input")
    run_stages(folder)
    write_removed(removed(folder, parts), out)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
