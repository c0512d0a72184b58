"""The kernels of unrote on a list of strings: no files, no configuration.

python examples/in_memory.py
"""

from unrote.dedup.minhash import estimate, signatures
from unrote.dedup.near import near_duplicates
from unrote.dedup.spans import duplicate_spans

NOTICE = (
    "Permission to use, copy, modify and distribute this recipe for any purpose is granted, "
    "provided that this notice appears in all copies and that nobody is charged for the soup."
)
STORY = (
    "The baker of Unterdorf rose at three. By four the ovens were hot, by five the first loaves "
    "lay on the shelf, and by six the street knew it. On Sundays he slept until eight, and the "
    "street waited without complaint, because everybody agreed that bread made by a tired baker "
    "is a sad thing."
)
TEXTS = [
    STORY,
    STORY.replace("tired", "weary"),
    f"Leek soup. Fry two leeks in butter, add a litre of stock, simmer. {NOTICE}",
    f"Onion soup. Brown six onions slowly, add wine and stock, bake with cheese. {NOTICE}",
]


def main() -> None:
    """Print what the texts have in common."""
    signed = signatures(TEXTS)
    print(f"signatures: {signed.dtype}{list(signed.shape)}")
    print(f"similarity of texts 0 and 1, estimated: {estimate(signed[0], signed[1]):.2f}")

    for doc, twin, similarity in near_duplicates(TEXTS, threshold=0.8):
        print(f"text {doc} is a near-duplicate of text {twin}: Jaccard similarity {similarity:.4f}")

    for span in duplicate_spans(TEXTS[2:], min_bytes=60).to_pylist():
        passage = TEXTS[2:][span["doc"]][span["start"] : span["end"]]
        print(
            f"passage of {len(passage)} characters occurs {span['occurrences']} times: {passage!r}"
        )


if __name__ == "__main__":
    main()
