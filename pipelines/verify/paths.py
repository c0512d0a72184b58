"""Where in a row a text is that a setting names: the verifier's own reading of paths."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

SEPARATOR = "\x1f"
"""Between the values of a text that has several."""

EACH = None
"""The step to each element of an array."""

Steps = tuple[str | None, ...]


class Selected(NamedTuple):
    """A field of a document: the paths of its values, as they are written and as steps."""

    written: tuple[str, ...]
    paths: tuple[Steps, ...]

    @classmethod
    def of(cls, setting: str | Sequence[str]) -> "Selected":
        written = (setting,) if isinstance(setting, str) else tuple(setting)
        return cls(written, tuple(map(_steps, written)))

    @property
    def several(self) -> bool:
        return len(self.paths) > 1 or EACH in self.paths[0]

    @property
    def flat(self) -> str | None:
        """The name of the one field that it is; None where it lies deeper, or is several."""
        (first, *rest), *others = self.paths
        return None if rest or others else first


def _steps(written: str) -> Steps:
    steps: list[str | None] = []
    for name, each in re.findall(
        r"((?:[^.\[\\]|\\.|\[(?!\d*\]|\*\]))+)|(\[\])", written, re.DOTALL
    ):
        steps.append(EACH if each else re.sub(r"\\(.)", r"\1", name, flags=re.DOTALL))
    return tuple(steps)


def leaves(value: Any, steps: Steps) -> Iterator[Any]:
    """What `steps` lead to from a value of json.loads or as_py."""
    if not steps:
        yield value
    elif steps[0] is EACH:
        for inner in value if isinstance(value, list) else ():
            yield from leaves(inner, steps[1:])
    elif isinstance(value, dict) and steps[0] in value:
        yield from leaves(value[steps[0]], steps[1:])


def without(value: Any, steps: Steps) -> Any:
    """`value` with None for the strings that `steps` lead to."""
    if not steps:
        return None if isinstance(value, str) else value
    if steps[0] is EACH and isinstance(value, list):
        return [without(inner, steps[1:]) for inner in value]
    if isinstance(value, dict) and steps[0] in value:
        return value | {steps[0]: without(value[steps[0]], steps[1:])}
    return value


_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],:]', re.DOTALL)


def string_spans(line: bytes, paths: Sequence[Steps]) -> list[tuple[int, int]]:
    """Where the strings are, quotes included, that a JSON object has at `paths`: by path, then by
    place.
    """
    found: list[list[tuple[int, int]]] = [[] for _ in paths]
    around: list[tuple[bytes, str | None]] = []  # the brackets that are open, and the member's name
    named = False
    for token in _TOKEN.finditer(line):
        kind = token[0][:1]
        if kind in b"{[":
            around.append((kind, EACH))
            named = False
        elif kind in b"}]":
            around.pop()
            named = True
        elif kind == b",":
            named = False
        elif kind == b'"' and around and around[-1][0] == b"{" and not named:
            around[-1] = (b"{", json.loads(token[0].decode()))
            named = True
        elif kind == b'"':
            here = tuple(name for _, name in around)
            for k, steps in enumerate(paths):
                if steps == here:
                    found[k].append(token.span())
    return [span for spans in found for span in spans]
