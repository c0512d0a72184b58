"""rensa: its streaming deduplicator with full-set R-MinHash.

Not its faster "rho" sketch, which looks at some fifteen positions of a document and misses half of
the near-duplicates here.
"""

from common import PERMUTATIONS, THRESHOLD, arguments, documents, shingles, write_removed
from rensa import RMinHashDeduplicator


def main() -> None:
    source, out, _ = arguments()
    dedup = RMinHashDeduplicator(threshold=THRESHOLD, num_perm=PERMUTATIONS, use_lsh=True)
    ids: list[str] = []

    def pairs():  # type: ignore[no-untyped-def]
        for row in documents(source):
            ids.append(row["id"])
            yield row["id"], list(shingles(row["text"]))

    kept = dedup.add_pairs(pairs())
    write_removed((name for name, keep in zip(ids, kept, strict=True) if not keep), out)


if __name__ == "__main__":
    main()
