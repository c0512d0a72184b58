"""What a detector says: where, of which type, how sure, and who says so."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One span of a text. It never holds the text itself."""

    start: int
    """The first code point of the span."""
    end: int
    """One past its last code point."""
    type: str
    score: float
    origin: str
    """The recognizer that found it."""
    stands_for: str = ""
    """What a de-identification marker stands for; empty for personal data, or where unknown."""
