"""What a detector says: where, of which type, how sure, and who says so."""

from typing import NamedTuple


class Finding(NamedTuple):
    """text[start:end] (code points) is a `type` with `score`, says the recogniser `origin`.

    stands_for: what a de-identification marker stands for; empty for personal data, or where
    unknown. A finding never holds the text itself.
    """

    start: int
    end: int
    type: str
    score: float
    origin: str
    stands_for: str = ""
