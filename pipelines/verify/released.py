"""What must be left of a text, and whether that is what was released."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from unrote.pipelines.verify.layout import DAMAGE
from unrote.pipelines.verify.paths import SEPARATOR, Selected, Steps, string_spans, without
from unrote.pipelines.verify.readers import JSON, SEPARATORS, Crawled, decoded, texts_of
from unrote.pipelines.verify.records import Finding, Shard
from unrote.pipelines.verify.verdict import Tally

MAY_RECUR = {"PERSON", "POSSIBLE_PERSON", "LOCATION", "ORGANIZATION", "NRP", "ADDRESS"} | {
    "DATE_TIME", "DATE_OF_BIRTH", "AGE", "SHIFTED_DATE", "SURROGATE_AGE"
}  # fmt: skip
"""Types whose surrogates are drawn from values that others have too, or that may stay."""

LEAK = 6
"""Letters and digits of the shortest value that is looked for in what was released."""

REPAIRED = " \t\n()[]{}<>\"'“”‘’«»"
"""What may go with a removed finding: white space, and brackets that would be empty."""


class Released:
    """A cleaned shard, walked beside the rows that must be in it."""

    def __init__(self, shard: Shard, rows: Iterator[Any], tally: Mapping[str, Tally]) -> None:
        self._shard, self._rows = shard, rows
        self._tally, self._leaks = tally["released rows"], tally["values"]
        self._rejects = tally["rejects"]
        self._skipped: list[tuple[int, Any, Mapping[Selected, Left]]] = []
        """Rejected rows that would stand here if they had been released."""
        self._in_step = True

    def skip(self, number: int, raw: Any, expected: Mapping[Selected, "Left"]) -> None:
        """The row `raw` was rejected: it must not be there."""
        self._rejects.expect(True, "")
        self._skipped.append((number, raw, expected))

    def _refuse(self, found: Any) -> None:
        """`found` is not what must be there: is it what must not?"""
        for number, raw, expected in self._skipped:
            if _same_row(self._shard, raw, found, expected):
                self._rejects.fail(
                    "data/%s holds row %d, which was rejected", self._shard.name, number
                )

    def take(self, number: int, raw: Any, expected: Mapping[Selected, "Left"]) -> Any:
        """Expect next the row `raw`, the named fields in it as given and all else the same.

        Returns the row that is there; None where there is none, or rows are not side by side.
        """
        if not self._in_step:
            return None
        found = next(self._rows, None)
        same = found is not None and _same_row(self._shard, raw, found, expected)
        # After the first difference rows are no longer side by side: more failures say nothing.
        self._in_step = self._tally.expect(
            same, "data/%s does not hold row %d as it must be", self._shard.name, number
        )
        if not same and found is not None:
            self._refuse(found)
        self._skipped.clear()
        if found is not None and any(left.changed for left in expected.values()):
            now = texts_of(found, self._shard, tuple(expected))
            leaks = any(
                left.leaks(text or "") for text, left in zip(now, expected.values(), strict=True)
            )
            self._leaks.expect(
                not leaks,
                "data/%s, row %d holds a value that was replaced",
                self._shard.name,
                number,
            )
        return found if same else None

    def finish(self) -> None:
        if self._in_step and (found := next(self._rows, None)) is not None:
            self._refuse(found)
            self._tally.fail("data/%s holds more than the kept rows", self._shard.name)


class Left:
    """What must be left of a text: chunks of it in order, and what nobody can foretell between.

    cuts: cut out, the sides joined by a line break. changed: the findings that were replaced; where
    one reaches into a cut the rest of that is cut. gone: the spans of both, in order and apart.
    """

    def __init__(
        self, text: str, cuts: Sequence[tuple[int, int]], changed: Sequence[Finding]
    ) -> None:
        self.text = text
        self.is_same = not cuts and not changed
        self.changed = changed
        self.chunks = [""]
        marks = _marks(cuts, changed)
        self.gone = [(start, end) for start, end, _ in marks]
        position, strip, removed = 0, False, False
        for start, end, finding in marks:
            kept = text[position:start]
            self.chunks[-1] += kept.lstrip(REPAIRED) if strip else kept
            strip, position = False, end
            if finding is not None:
                strip = removed = finding.action == "remove"
                if strip:
                    self.chunks[-1] = self.chunks[-1].rstrip(REPAIRED)
                self.chunks.append("")
            elif start > 0 and end < len(text) and not (removed and not self.chunks[-1]):
                self.chunks[-1] += "\n"  # not at the text's ends, and a removal may be one
        kept = text[position:]
        self.chunks[-1] += kept.lstrip(REPAIRED) if strip else kept

    def fits(self, found: str) -> bool:
        """Whether `found` is what is left."""
        if len(self.chunks) == 1:
            return found == self.chunks[0]
        first, *middle, last = self.chunks
        if not found.startswith(first):
            return False
        at = len(first)
        for chunk in middle:
            at = found.find(chunk, at)
            if at < 0:
                return False
            at += len(chunk)
        return at + len(last) <= len(found) and found.endswith(last)

    def leaks(self, found: str) -> bool:
        """Whether a value that was replaced is in `found` more often than in what stays."""
        for finding in self.changed:
            value = self.text[finding.start : finding.end]
            if finding.type not in MAY_RECUR and sum(map(str.isalnum, value)) >= LEAK:
                kept = sum(chunk.count(value) for chunk in self.chunks)
                if found.count(value) > kept:
                    return True
        return False


class LeftValues(Left):
    """What must be left of a text of several values: of each the same, and what separates them."""

    def __init__(
        self, text: str, cuts: Sequence[tuple[int, int]], changed: Sequence[Finding]
    ) -> None:
        self.text = text
        self.is_same = not cuts and not changed
        self.changed = changed
        self.chunks, self.gone, self.values = [""], [], []
        start = 0
        for value in text.split(SEPARATOR):
            end = start + len(value)
            own = [
                f._replace(start=f.start - start, end=f.end - start)
                for f in changed
                if start <= f.start and f.end <= end
            ]
            within = [
                (max(a, start) - start, min(b, end) - start)
                for a, b in cuts
                if a < end and b > start
            ]
            left = Left(value, within, own)
            self.values.append(left)
            self.gone += [(a + start, b + start) for a, b in left.gone]
            self.chunks[-1] += (SEPARATOR if start else "") + left.chunks[0]
            self.chunks += left.chunks[1:]
            start = end + 1

    def fits(self, found: str) -> bool:
        values = found.split(SEPARATOR)
        return len(values) == len(self.values) and all(
            left.fits(value) for left, value in zip(self.values, values, strict=True)
        )


def _marks(
    cuts: Sequence[tuple[int, int]], changed: Sequence[Finding]
) -> list[tuple[int, int, Finding | None]]:
    """Where something happens to a text, in order and apart: changes, and cuts without these.

    cuts, changed: by position, each apart.
    """
    marks: list[tuple[int, int, Finding | None]] = [(f.start, f.end, f) for f in changed]
    first = 0  # of the changes that a later cut may touch
    for start, end in cuts:
        while first < len(changed) and changed[first].end <= start:
            first += 1
        at, number = start, first
        while number < len(changed) and changed[number].start < end:
            if at < changed[number].start:
                marks.append((at, changed[number].start, None))
            at = max(at, changed[number].end)
            number += 1
        if at < end:
            marks.append((at, end, None))
    return sorted(marks, key=lambda mark: mark[:2])


def _same_row(shard: Shard, raw: Any, found: Any, expected: Mapping[Selected, Left]) -> bool:
    """Whether `found` is the row `raw` with the expected fields and all else the same."""
    if found is None:
        return False
    if shard.format in ("txt", "warc"):
        (left,) = expected.values()
        if left.is_same:
            return bool(found == raw)
        text = decoded(found) if shard.format == "txt" else found.text
        fits = text is not None and left.fits(text)
        return fits and (shard.format == "txt" or _same_headers(raw, found))
    if shard.format in JSON:
        return _same_line(raw, found, expected)
    now = texts_of(found, shard, tuple(expected))
    fit = all(
        text is not None and left.fits(text)
        for text, left in zip(now, expected.values(), strict=True)
    )
    if shard.format in SEPARATORS:
        read = {name for one in expected for name in one.written}
        return bool(fit and raw.names == found.names and len(raw.fields) == len(found.fields)) and (
            all(
                name in read or ours == theirs
                for name, ours, theirs in zip(raw.names, raw.fields, found.fields, strict=True)
            )
        )
    return bool(fit and raw.schema.names == found.schema.names) and all(
        _same_cell_but(ours, theirs, [s for one in expected for s in one.paths if s[0] == name])
        for name, ours, theirs in zip(raw.schema.names, raw.columns, found.columns, strict=True)
    )


def _same_headers(raw: Crawled, found: Crawled) -> bool:
    """Whether a record of WARC has the headers of another, and the right ones of its block."""
    ours, theirs = (
        {name: value for name, value in one.headers.items() if name not in _OF_BLOCK}
        for one in (raw, found)
    )
    return ours == theirs and found.has_right_digests()


_OF_BLOCK = ("content-length", "warc-block-digest", "warc-payload-digest")
"""Headers of WARC that follow from a record's block."""


def _same_cell_but(cell: Any, found: Any, paths: Sequence[Steps]) -> bool:
    """Whether two columns of one row are the same but for the strings that `paths` lead to."""
    if not paths:
        return _same_cell(cell, found)
    if any(len(steps) == 1 for steps in paths):
        return bool(cell.type == found.type)
    ours, theirs = cell[0].as_py(), found[0].as_py()
    for steps in paths:
        ours, theirs = without(ours, steps[1:]), without(theirs, steps[1:])
    return bool(cell.type == found.type) and repr(ours) == repr(theirs)


_Expected = tuple[int, int, Left | None]
"""The range of a string in a line, and what must be left of it; None: it must be empty."""


def _expected_spans(line: bytes, one: Selected, left: Left) -> list[_Expected] | None:
    """The strings of a line that are expected to change; None where they are not there."""
    if one.flat is None:
        own = string_spans(line, one.paths)
        parts = left.values if isinstance(left, LeftValues) else [left]
        pairs = list(zip(own, parts, strict=False))
        if len(own) != len(parts):
            return None
        return [(*span, part) for span, part in pairs if not part.is_same]
    found = _value_spans(line, one.flat)
    if not found:
        return [] if left.is_same else None
    # Earlier values of a repeated name may hold what went, or was not read, and are emptied.
    emptied: list[_Expected] = [(*span, None) for span in found[:-1]]
    return emptied if left.is_same else [*emptied, (*found[-1], left)]


def _same_line(line: bytes, found: bytes, expected: Mapping[Selected, Left]) -> bool:
    """The same of a JSON line: byte by byte but for the values that are expected to change."""
    spans: list[_Expected] = []
    for one, left in expected.items():
        own = _expected_spans(line, one, left)
        if own is None:
            return False
        spans += own
    at = position = 0
    for start, end, part in sorted(spans, key=lambda span: span[:2]):
        head = line[position:start]
        if found[at : at + len(head)] != head:
            return False
        at += len(head)
        position = end
        value = _TOKEN.match(found, at)
        if value is None or value[0][:1] != b'"':
            return False
        at = value.end()
        try:
            text = json.loads(value[0].decode())
        except ValueError:
            return False
        if not (text == "" if part is None else part.fits(text)):
            return False
    return found[at:] == line[position:]


def _same_cell(cell: Any, found: Any) -> bool:
    if cell.equals(found):
        return True
    try:  # NaN is not equal to itself, and dictionaries may be numbered otherwise
        return cell.type == found.type and repr(cell.to_pylist()) == repr(found.to_pylist())
    except DAMAGE:
        return False


_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]', re.DOTALL)


def _value_spans(line: bytes, key: str) -> list[tuple[int, int]]:
    """Where the values of `key` begin and end in a JSON object; of several the last one counts."""
    depth, start = 0, 0
    name: str | None = None
    spans = []
    for token in _TOKEN.finditer(line):
        kind = token[0][:1]
        if depth == 1 and kind == b'"' and name is None:
            name = json.loads(token[0].decode())
        elif depth == 1 and kind == b":":
            start = token.end()
        elif depth == 1 and kind in b",}":
            if name == key:
                value = line[start : token.start()]
                inset = len(value) - len(value.lstrip())
                spans.append((start + inset, start + len(value.rstrip())))
            name = None
        depth += (kind in b"{[") - (kind in b"}]")
    return spans
