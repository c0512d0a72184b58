"""datasketch: MinHash and MinHashLSH as its manual shows them; a hit in the index is a duplicate.

`datasketch_dedup.py INPUT OUTPUT PROCESSES`: with more than one process the signatures are made in
a pool; the index has no parallel form. Bands and rows are its defaults for the threshold.
"""

from collections.abc import Iterator
from multiprocessing import Pool

import numpy as np
from common import PERMUTATIONS, THRESHOLD, arguments, documents, shingles, write_removed
from datasketch import MinHash, MinHashLSH

BLANK = MinHash(num_perm=PERMUTATIONS)  # copied: making the permutations anew is slow


def sketch(text: str) -> MinHash:
    minhash = BLANK.copy()
    minhash.update_batch([shingle.encode() for shingle in shingles(text)])
    return minhash


def named_values(row: dict[str, str]) -> tuple[str, np.ndarray]:
    """What a worker sends back: the bare hash values, which pickle far faster than a MinHash."""
    return row["id"], sketch(row["text"]).hashvalues


def parallel_sketches(rows: Iterator[dict[str, str]], processes: int) -> Iterator[tuple]:
    with Pool(processes) as pool:
        for name, values in pool.imap(named_values, rows, chunksize=64):
            minhash = BLANK.copy()
            minhash.hashvalues = values
            yield name, minhash


def main() -> None:
    source, out, rest = arguments()
    processes = int(rest[0]) if rest else 1
    rows = documents(source)
    if processes > 1:
        sketches = parallel_sketches(rows, processes)
    else:
        sketches = ((row["id"], sketch(row["text"])) for row in rows)
    index = MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS)
    removed = []
    for name, minhash in sketches:
        if minhash.is_empty():  # without words there is nothing to be similar to
            continue
        if index.query(minhash):
            removed.append(name)
        else:
            index.insert(name, minhash, check_duplication=False)
    write_removed(removed, out)


if __name__ == "__main__":
    main()
