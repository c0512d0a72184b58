"""Values that were found and replaced, in their other spellings in the same document.

A card number stands with spaces here and with dashes there, an address in a URL as
`jane%40acme.com`: recognisers see one of them. What differs between spellings is left out
(`folding`), and what is then the same as a value that was replaced, alone between other characters,
goes too. It gets the same surrogate, spelled in its way.
"""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise, takewhile

from unrote.corpus.intervals import union
from unrote.pii.scrubbing.actions import AppliedAction
from unrote.pii.scrubbing.edits import Edit, edited_text, is_within
from unrote.pii.scrubbing.folding import RUN, Folded, folded_size, telling_core
from unrote.pii.scrubbing.passes import ScrubbedText, disjoint, superseded


@dataclass(frozen=True)
class Replaced:
    """A value that was replaced: how it was spelled, what was done, and by which finding."""

    value: str
    applied: AppliedAction


def replaced_values(text: str, scrubbed: ScrubbedText) -> dict[str, Replaced]:
    """By core, the values of a text that were replaced and are to be looked for again."""
    found: dict[str, Replaced] = {}
    for one in scrubbed.applied:
        value = text[one.finding.start : one.finding.end]
        if one.action != "keep" and (core := telling_core(value, one.finding.type)):
            found.setdefault(core, Replaced(value, one))
    return found


def with_spellings(
    text: str,
    scrubbed: ScrubbedText,
    known: Mapping[str, Replaced],
    cuts: Sequence[tuple[int, int]] = (),
) -> ScrubbedText:
    """`scrubbed` with the other spellings of values that were replaced in its document.

    known: as `replaced_values` has them, of all of the document. cuts: as for `scrub_text`; what
    lies in one goes anyway.
    """
    if not known:
        return scrubbed
    done, end_before = _Done(scrubbed, cuts), 0
    added: list[tuple[AppliedAction, Edit]] = []
    for core, start, runs in _occurrences(readings(text, scrubbed, cuts), known):
        end = runs[-1][1]
        if start < end_before or done.has(start, end):
            continue
        edit = Edit(start, end, _respelled(known[core], text, start, runs))
        finding = known[core].applied.finding._replace(start=start, end=end)
        added.append((replace(known[core].applied, finding=finding, replacement=edit.text), edit))
        end_before = end
    return disjoint(text, superseded(scrubbed, added), cuts) if added else scrubbed


def readings(
    text: str, scrubbed: ScrubbedText, cuts: Sequence[tuple[int, int]] = ()
) -> tuple[str, ...]:
    """The text as it is, and with line breaks for what goes: `2413` is a part of the number in
    `2413-555`, and alone when the rest of that was replaced.
    """
    gone = union(sorted([*cuts, *_changed(scrubbed)]))
    edits = [Edit(start, end, "\n" * (end - start)) for start, end in gone]
    return (text, edited_text(text, edits)) if edits else (text,)


def _occurrences(
    texts: Sequence[str], known: Mapping[str, Replaced]
) -> list[tuple[str, int, list[tuple[int, int]]]]:
    """Where values stand in one of the readings of a text, by offset: the core of each, where it
    starts, and its runs.
    """
    found = []
    for folded in map(Folded, texts):
        for core, first, last in folded.occurrences(known):
            runs = folded.source(first, last)
            found.append((core, runs[0][0] - core.startswith("+"), runs))
    return sorted(found, key=lambda one: one[1])


def _changed(scrubbed: ScrubbedText) -> set[tuple[int, int]]:
    """What is written anew, or belongs to a finding for which something is."""
    changed = {(one.start, one.end) for one in scrubbed.edits}
    return changed | {
        (one.finding.start, one.finding.end) for one in scrubbed.applied if one.action != "keep"
    }


class _Done:
    """What of a text goes already: what is changed, and what lies in cuts."""

    def __init__(self, scrubbed: ScrubbedText, cuts: Sequence[tuple[int, int]]) -> None:
        self._changed, self._cuts = sorted(_changed(scrubbed)), cuts
        self._ends = [end for _, end in self._changed]

    def has(self, start: int, end: int) -> bool:
        """Whether text[start:end] goes already, or a part of it with what is beside it.

        Of a value with a hidden character in it a recogniser may have seen a part: that is not all.
        """
        if is_within(self._cuts, start, end):
            return True
        first = bisect_right(self._ends, start)
        meeting = takewhile(lambda span: span[0] < end, islice(self._changed, first, None))
        return any(a < start or b > end or (a, b) == (start, end) for a, b in meeting)


def _respelled(one: Replaced, text: str, start: int, runs: Sequence[tuple[int, int]]) -> str:
    """What replaced a value, spelled as text[start:] is, whose letters and digits are `runs`."""
    new, action = one.applied.replacement, one.applied.action
    if action not in ("surrogate", "mask"):
        return new
    own = "".join(text[a:b] for a, b in runs)
    gaps = [text[a[1] : b[0]] for a, b in pairwise(runs)]
    sizes = [folded_size(text[a:b]) for a, b in runs]
    solid = [char for char in _cased(new, own) if char.isalnum()]
    if action == "mask":
        solid = ["*"] * sum(sizes)
    if len(solid) == sum(sizes):  # letter for letter into the other spelling
        letters = iter(solid)
        written = ("".join(islice(letters, size)) for size in sizes)
        rest = "".join(map("".join, zip(written, [*gaps, ""], strict=True)))
        return text[start : runs[0][0]] + rest
    ours = [match.span() for match in RUN.finditer(one.value)]
    known = [one.value[a[1] : b[0]] for a, b in pairwise(ours)]
    spelled = dict(zip(known, gaps, strict=True)) if len(known) == len(gaps) else {}
    pieces = re.split(r"([\W_]+)", _cased(new, own))
    return "".join(spelled.get(one, one) for one in pieces)


def _cased(new: str, own: str) -> str:
    """`new` in the letter case of `own`, where that has one."""
    if own.isupper():
        return new.upper()
    return new.lower() if own.islower() else new
