"""What a family of surrogates is: values of one shape, drawn and recognised alike."""

from collections.abc import Callable
from dataclasses import dataclass

from unrote.pii.keys import Key

Draw = Callable[[Key, str, str, int], str | None]
"""(key, the value whose shape it takes, seed, attempt) -> a surrogate, or None.

None says that this attempt gave no valid value, or, if every one does, that the value is not of the
family's shape. Equal keys, shapes, seeds and attempts give equal surrogates.
"""


def normalised(value: str) -> str:
    """The value without the case and the white space that do not tell people apart."""
    return " ".join(value.casefold().split())


def word_list(words: str) -> tuple[str, ...]:
    """The words of a list that is written in one string."""
    return tuple(words.split())


@dataclass(frozen=True, slots=True)
class Family:
    """Surrogates of one shape."""

    name: str
    draw: Draw
    recognizes: Callable[[Key, str], bool]
    """Whether the value is one that `draw` can give under this key."""
    accepts: Callable[[str], bool]
    """Whether the value is of the family's shape; if not, it is replaced character by character."""
    canonical: Callable[[str], str] = normalised
    """What two spellings of one value have in common: the seed."""
    generalises: bool = False
    """`draw` maps several values to one of them, which may be the value itself."""
