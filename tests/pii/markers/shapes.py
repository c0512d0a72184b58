"""Documents of `shapes.toml`: each marker of a shape in carrier sentences, and the look-alikes."""

import hashlib
import re
import tomllib
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

FILE = Path(__file__).parent / "shapes.toml"
LABELLED = re.compile("⁅([A-Z_]+):([^⁆]+)⁆")
HELD_OUT_OF = 3
"""One shape in so many is held out."""


class Labelled(NamedTuple):
    """A document: `spans` are (start, end, type stood for, "" where unknown) in `text`.

    shape is empty for a look-alike.
    """

    family: str
    shape: str
    held_out: bool
    text: str
    spans: tuple[tuple[int, int, str], ...]


def is_held_out(shape: str) -> bool:
    return int(hashlib.sha256(shape.encode()).hexdigest(), 16) % HELD_OUT_OF == 0


def documents(path: Path = FILE) -> Iterator[Labelled]:
    """All documents of the file, in its order; look-alikes are never held out."""
    read = tomllib.loads(path.read_text(encoding="utf-8"))
    for shape in read["shape"]:
        held_out = is_held_out(shape["name"])
        for labelled in _texts(shape, read["carriers"]):
            text, spans = plain(labelled)
            yield Labelled(shape["family"], shape["name"], held_out, text, spans)
    for family in read["lookalike"]:
        for text in family["texts"]:
            yield Labelled(family["family"], "", False, text, ())


def plain(labelled: str) -> tuple[str, tuple[tuple[int, int, str], ...]]:
    """A text without the labels of its markers, and where these are in it."""
    text, at = "", 0
    spans = []
    for match in LABELLED.finditer(labelled):
        text += labelled[at : match.start()]
        stands_for = "" if match[1] == "ANY" else match[1]
        spans.append((len(text), len(text) + len(match[2]), stands_for))
        text += match[2]
        at = match.end()
    return text + labelled[at:], tuple(spans)


def _texts(shape: dict[str, Any], carriers: dict[str, Any]) -> Iterator[str]:
    """Every marker in a carrier and every carrier with a marker, and the shape's own texts."""
    own = carriers[shape.get("carriers", "en")]
    for type_, markers in shape.get("markers", {}).items():
        sentences = own.get(type_) or carriers["en"][type_]
        for sentence, marker in islice(
            zip(cycle(sentences), cycle(markers), strict=False),
            max(len(sentences), len(markers)) if markers else 0,
        ):
            # Two words of one marker, as in "[PREFIX_1] [LASTNAME_2]", are two markers.
            parts = marker.replace("] [", f"]⁆ ⁅{type_}:[")
            yield sentence.replace("{}", f"⁅{type_}:{parts}⁆")
    yield from shape.get("texts", ())
