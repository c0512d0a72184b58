"""Where in a row a text stands: the paths of settings, such as `messages[].content`.

A path is names of fields with a point between them, each leading into an object (a struct); `[]`
behind a name leads to every element of an array (a list). In a name a point, a backslash, and the
bracket of such a "[]" have a backslash before them.

What one or several paths lead to in a row are its *values*, and together one text: joined, in the
order of the paths and then of the row, with SEPARATOR between two.
"""

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

from unrote.corpus.errors import ConfigError

SEPARATOR = "\x1f"
"""Between the values of a text, in every stage. ASCII's unit separator is for this: it is a break
between words, and one byte, so that what is shown with a line break instead has the same offsets. A
row with a value that holds it is rejected."""


SEPARATED = "a value holds U+001F, which separates values; take it out"
"""The reason of such a row."""


def with_line_breaks(text: str, *, several: bool) -> str:
    """A text for readers, people or models; several: whether it may have several values."""
    return text.replace(SEPARATOR, "\n") if several else text


EACH = None
"""The step to every element of an array."""

Step = str | None
"""The name of a field of an object, or EACH."""


@dataclass(frozen=True)
class FieldPath:
    """Steps from a row to values in it; the first is a name."""

    steps: tuple[Step, ...]

    def __str__(self) -> str:
        named = ["[]" if step is EACH else f".{_quoted(step)}" for step in self.steps]
        return "".join(named).removeprefix(".")

    @property
    def top(self) -> str:
        """The field of the row in which the values are."""
        first = self.steps[0]
        assert first is not EACH
        return first

    @property
    def is_several(self) -> bool:
        """Whether there may be more than one value in a row."""
        return EACH in self.steps


@dataclass(frozen=True)
class Selection:
    """The paths of which a text is made; `name` is how the settings write them."""

    name: str
    paths: tuple[FieldPath, ...]

    @property
    def is_several(self) -> bool:
        """Whether a text may be made of more than one value."""
        return len(self.paths) > 1 or self.paths[0].is_several

    @cached_property
    def is_flat(self) -> bool:
        """Whether the text is just one field of the row."""
        return len(self.paths) == 1 and len(self.paths[0].steps) == 1


_INDEX = r"\[(?:\d*|\*)\]"
"""What is no part of a name: [], and what may be meant for one element, which no path leads to."""


def _quoted(name: str) -> str:
    return re.sub(rf"[.\\]|(?={_INDEX})\[", r"\\\g<0>", name)


_NAME = re.compile(rf"(?P<name>(?:[^.\[\\]|\\.|(?!{_INDEX})\[)+)", re.DOTALL)
_NEXT = re.compile(r"\[\]|\." + _NAME.pattern, re.DOTALL)


@lru_cache(maxsize=1024)
def parse_path(written: str) -> FieldPath:
    """The path that is written so. Raises ConfigError."""
    steps: list[Step] = []
    at = 0
    while at < len(written) or not steps:
        found = (_NEXT if steps else _NAME).match(written, at)
        if found is None:
            raise _malformed(written, at)
        steps.append(EACH if found["name"] is None else re.sub(r"\\(.)", r"\1", found["name"]))
        at = found.end()
    return FieldPath(tuple(steps))


def _malformed(written: str, at: int) -> ConfigError:
    return ConfigError(
        f"the path {written!r} is malformed at character {at + 1}. A path is names with points "
        "between them, and [] behind the name of an array: text, data.text, messages[].content. A "
        "point that is part of a name has a backslash before it."
    )


@lru_cache(maxsize=1024)
def selection(written: str | tuple[str, ...]) -> Selection:
    """The selection of one path or several. Raises ConfigError, also where two paths are equal."""
    each = (written,) if isinstance(written, str) else written
    if not each:
        raise ConfigError("an empty list of paths selects nothing: name at least one field.")
    paths = tuple(map(parse_path, each))
    if len(set(paths)) < len(paths):
        raise ConfigError(f"of {', '.join(each)} two are the same path. Name each once.")
    return Selection(", ".join(each), paths)
