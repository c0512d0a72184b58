"""pydivsufsort and Kasai's algorithm: passages of 100 bytes or more that occurred before.

The definition is ours: a window of 100 bytes, inside one document, is a copy if the same window
occurs in an earlier document, or earlier in the same one without overlap. OUTPUT (numpy's .npz)
gets the union of copies as `document` (row number), `start` and `end` in bytes.
"""

import numpy as np
from common import arguments, documents
from pydivsufsort import divsufsort, kasai

WINDOW = 100
SEPARATOR = b"\xff"  # no byte of UTF-8


def copied_windows(buffer: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """For every position whether a copied window begins there."""
    array = divsufsort(buffer)
    common = kasai(buffer, array)  # common[i]: prefix that suffixes array[i] and array[i + 1] share
    repeats = np.append(common[: len(array) - 1] >= WINDOW, False)
    del common
    member = repeats.copy()
    member[1:] |= repeats[:-1]
    opens = member.copy()  # a group begins where the prefix shared with the suffix before is short
    opens[1:] &= ~repeats[:-1]
    positions = array[member]
    heads = np.flatnonzero(opens[member])
    del array, repeats, member, opens
    if not len(heads):
        return np.zeros(len(buffer), dtype=bool)
    sizes = np.diff(np.append(heads, len(positions)))
    first = np.repeat(np.minimum.reduceat(positions, heads), sizes)
    document = np.searchsorted(starts, positions, side="right") - 1
    inside = positions + WINDOW < starts[document + 1]  # `<`: the separator is not text
    earlier = (first < starts[document]) | (first + WINDOW <= positions)
    copied = np.zeros(len(buffer), dtype=bool)
    copied[positions[inside & earlier]] = True
    return copied


def main() -> None:
    source, out, _ = arguments()
    texts = [row["text"].encode() for row in documents(source)]
    starts = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum([len(text) + 1 for text in texts], out=starts[1:])
    joined = bytearray(SEPARATOR.join(texts) + SEPARATOR)  # writable, which kasai asks for
    buffer = np.frombuffer(joined, dtype=np.uint8)
    del texts
    windows = np.flatnonzero(copied_windows(buffer, starts))
    # Windows at most WINDOW apart touch or overlap; one document's never reach the next one's,
    # because of the separator.
    breaks = np.flatnonzero(np.diff(windows) > WINDOW)
    begin = windows[np.concatenate(([0], breaks + 1))] if len(windows) else windows
    end = windows[np.concatenate((breaks, [-1]))] + WINDOW if len(windows) else windows
    document = np.searchsorted(starts, begin, side="right") - 1
    with out.open("wb") as file:  # given a name, numpy would add .npz to it
        np.savez(
            file, document=document, start=begin - starts[document], end=end - starts[document]
        )


if __name__ == "__main__":
    main()
