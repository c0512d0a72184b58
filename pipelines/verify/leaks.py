"""No value that is to be replaced, and none that was, is left in a document that is released."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence

from unrote.pipelines.verify.layout import ROW_BITS
from unrote.pipelines.verify.paths import Selected
from unrote.pipelines.verify.records import Finding
from unrote.pipelines.verify.released import LEAK, MAY_RECUR, Left
from unrote.pipelines.verify.shapes import SECRET, Value, values_in
from unrote.pipelines.verify.spellings import Spelled
from unrote.pipelines.verify.state import Run

TRACES = {"DEID_MARKER", "RESERVED_VALUE"}
"""What earlier scrubbing left: words that stand elsewhere with their own meaning."""


TOKEN = 16
"""Letters and digits of the shortest secret that is looked for elsewhere: with a digit among
them. A shorter one may be a password in an example's URL, which can be any word of the text."""


def check_leaks(run: Run, doc: int, left: Mapping[Selected, Left]) -> None:
    """Look at what was kept of the input's text in the fields of a document that is released."""
    if run.rules.replaced.types:
        found = [p for one in left.values() for p in _shapes(run, one)]
        name = f"data/{run.shards[doc >> ROW_BITS].name}, row {doc & ((1 << ROW_BITS) - 1)}"
        run.tally["secrets"].expect(
            not found, "%s holds what has the shape of %s", name, ", ".join(found)
        )
    _check_spellings(run, doc, left)


def _shapes(run: Run, left: Left) -> Iterator[str]:
    """Type and position of each value in the input's text of which enough is still there."""
    for value in values_in(left.text):
        text = left.text[value.start : value.end]
        if run.rules.replaced.includes(value.type, text):
            kept = sum(c.isalnum() for part in _kept(left, value) for c in part)
            if kept >= min(LEAK, sum(map(str.isalnum, text))):
                yield f"{value.type} (the input's characters {value.start} to {value.end})"


def _kept(left: Left, value: Value) -> Iterator[str]:
    """What of a value was neither replaced nor cut."""
    at = value.start
    first = max(0, bisect_right(left.gone, (at, at)) - 1)
    for start, end in left.gone[first:]:
        if start >= value.end:
            break
        if end > at:
            yield left.text[at : max(at, start)]
            at = end
    yield left.text[at : value.end]


def _check_spellings(run: Run, doc: int, left: Mapping[Selected, Left]) -> None:
    values: dict[str, Finding] = {}
    for one in left.values():
        for finding in one.changed:
            core = core_of(one.text[finding.start : finding.end], finding.type)
            if core:
                values.setdefault(core, finding)
    if not values:
        return
    chunks: Sequence[str] = [chunk for one in left.values() for chunk in one.chunks]
    there = Spelled("\n".join(chunks)).holds(values)
    said = sorted((values[core].start, values[core].type) for core in there)
    run.tally["spellings"].expect(
        not there,
        "%s holds once more, as it was or in another spelling, what was replaced: %s",
        run.name_of(doc),
        ", ".join(f"{type_} (the input's character {start})" for start, type_ in said[:5]),
    )


def core_of(value: str, type_: str) -> str:
    """What is looked for of a replaced value; "" where others may have it too, or it is short."""
    solid = sum(map(str.isalnum, value))
    if type_ in MAY_RECUR or type_ in TRACES or solid < LEAK:
        return ""
    if type_ == SECRET and (solid < TOKEN or value.isalpha() or not any(map(str.isdigit, value))):
        return ""
    return Spelled(value).core
