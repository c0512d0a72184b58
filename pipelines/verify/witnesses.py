"""Every cut passage stands earlier, and its witnesses lead to text that was kept."""

import itertools
import random
from bisect import bisect_right

from unrote.pipelines.verify.canonical import canonical
from unrote.pipelines.verify.places import Pair, Pieces, Place, same_text
from unrote.pipelines.verify.ranges import pieces
from unrote.pipelines.verify.records import Rules
from unrote.pipelines.verify.state import Run, Spans

SAMPLE = 1000

_SHRINKS = 40
"""So many characters are never less than one byte of the form: a reference has 33 at most."""

_AROUND = 64
"""Characters of a text that are looked at for one of its form."""


def check_left(run: Run, doc: int, text: str) -> None:
    """A document goes as a remainder if too little of it is left, and only then."""
    reason, cuts = run.reason(doc), run.cuts(doc)
    if reason != "remainder" and (reason is not None or not cuts):
        return
    solid = sum(len(word) for piece in pieces(text, cuts) for word in piece.split())
    little = solid < max(1, run.rules.min_remaining)
    if reason == "remainder":
        run.tally["remainders"].expect(
            little, "%s was removed though enough of it is left", run.name_of(doc)
        )
    elif little:
        run.bare.add(doc)


def check_spans(run: Run) -> None:
    """Every passage stands, earlier, where its row says.

    Rows are taken by witness, so that a text is read few times.
    """
    spans, tally = run.spans, run.tally["spans"]
    for done, i in enumerate(sorted(range(len(spans)), key=spans.witness.__getitem__)):
        problem = _span_problem(run, spans, i)
        if problem is not None:
            tally.fail(
                "%s [%d, %d) with witness %s from %d: %s",
                run.name_of(spans.doc[i]),
                spans.start[i],
                spans.end[i],
                run.name_of(spans.witness[i]),
                spans.witness_start[i],
                problem,
            )
        if done % 10_000 == 0:
            run.progress("spans", done, len(spans))
    tally.checked += len(spans)
    run.progress("spans", len(spans), len(spans))
    for doc in sorted(run.bare):
        run.tally["remainders"].fail(
            "%s was kept though too little of it is left, and that is nobody's witness",
            run.name_of(doc),
        )


def check_uncut(run: Run) -> None:
    """Every passage that is said to stay stands earlier, and nothing is cut of it."""
    uncut, tally = run.uncut, run.tally["uncut"]
    last, reach = -1, 0
    for i, doc in enumerate(uncut.doc):
        reach = reach if doc == last else 0
        problem = _span_problem(run, uncut, i) or _stays_problem(run, i, reach)
        where = run.name_of(doc), uncut.start[i], uncut.end[i]
        tally.expect(problem is None, "%s [%d, %d): %s", *where, problem)
        last, reach = doc, max(reach, uncut.end[i])


def _stays_problem(run: Run, i: int, reach: int) -> str | None:
    """What is wrong with row `i` of the uncut table, a passage. reach: how far those before go."""
    doc, start, end = run.uncut.doc[i], run.uncut.start[i], run.uncut.end[i]
    cuts = run.spans.cuts(doc)
    at = bisect_right(cuts, start, key=lambda cut: cut[1])
    if at < len(cuts) and cuts[at][0] < end:
        return "a cut reaches into what is said to stay"
    size = len((run.texts.get(doc) or "")[max(start, reach) : end].encode())
    if size != run.uncut_bytes[i]:
        return f"it adds {size} bytes, not {run.uncut_bytes[i]}"
    return None


def _span_problem(run: Run, spans: Spans, i: int) -> str | None:
    """What is wrong with row `i` of the spans table, or of the uncut one."""
    doc, witness = spans.doc[i], spans.witness[i]
    if run.copied(doc) or run.copied(witness):
        return "one of them was removed as a copy"
    if (witness, spans.witness_start[i]) >= (doc, spans.start[i]):
        return "the witness is not earlier"
    if witness < 0:
        return _indexed_problem(run, spans, i)
    text, other = run.texts.get(doc), run.texts.get(witness)
    if text is None or other is None:
        return "one of them is not a document of the input"
    return _copy_problem(run, spans, i, text, other)


def _indexed_problem(run: Run, spans: Spans, i: int) -> str | None:
    """What is wrong with a passage whose witness is in an index, where the text is not here."""
    text = run.texts.get(spans.doc[i])
    if text is None or not 0 <= spans.start[i] < spans.end[i] <= len(text):
        return "the range is not in the text"
    if spans.witness[i] not in run.indexed:
        return "the run does not name such a document of an index"
    return None


def _copy_problem(run: Run, spans: Spans, i: int, text: str, other: str) -> str | None:
    """What is wrong with row `i`, given the texts of its document and its witness."""
    witness, start, end = spans.witness[i], spans.start[i], spans.end[i]
    first, last = spans.witness_start[i], spans.witness_end[i]
    if not (0 <= first < last <= len(other) and 0 <= start < end <= len(text)):
        return "the range is not in the text"
    if not same_text(text[start:end], other[first:last], run.rules):
        return "the texts differ"
    if witness == spans.doc[i] and not _apart(text, first, start, run.rules):
        return f"windows of {run.rules.min_bytes} bytes overlap their witness"
    if spans.occurrences[i] < 2:
        return "a passage that occurs once was removed"
    if spans is run.spans and not spans.covers(witness, first, last):
        run.bare.discard(witness)
        if run.reason(witness) == "remainder" and not _is_space(run, witness, first, last):
            return "the witness went as a remainder with text that was nowhere else"
    return None


def _is_space(run: Run, doc: int, start: int, end: int) -> bool:
    """Whether what was not cut of a range is white space, which with an index goes all the same."""
    text, cuts = run.texts.get(doc) or "", run.cuts(doc)
    left = (text[i] for i in range(start, end) if not any(a <= i < b for a, b in cuts))
    return run.rules.index and all(character.isspace() for character in left)


def _apart(text: str, first: int, second: int, rules: Rules) -> bool:
    """Whether two positions in a text are at least `min_bytes` apart, as it is compared."""
    near = min(second, first + _SHRINKS * rules.min_bytes)
    return len(canonical(text[first:near], rules).encode()) >= rules.min_bytes


def check_chains(run: Run) -> None:
    """Follow the witnesses of a sample of removed characters down to kept ones.

    `check_spans` implies this for all of them, by induction; this looks.
    """
    spans = run.spans
    sizes = (max(0, end - start) for start, end in zip(spans.start, spans.end, strict=True))
    ends = list(itertools.accumulate(sizes))
    sample = random.Random(0)  # noqa: S311
    for _ in range(SAMPLE if ends and ends[-1] else 0):
        drawn = sample.randrange(ends[-1])
        i = bisect_right(ends, drawn)
        doc, position = spans.doc[i], spans.end[i] - (ends[i] - drawn)
        problem = _chain_problem(run, doc, position)
        run.tally["chains"].expect(
            problem is None, "%s, character %d: %s", run.name_of(doc), position, problem
        )


def _chain_problem(run: Run, doc: int, position: int) -> str | None:
    place, character = _character(run, doc, position)
    while (i := run.spans.row_at(doc, place[0])) is not None:
        witness, start, first = run.spans.witness[i], run.spans.start[i], run.spans.witness_start[i]
        if witness < 0:
            return None
        at, within = pair_of(run, i).there((place[0] - start, place[1]))
        if (witness, first + at, within) >= (doc, *place):
            return f"the witness {run.name_of(witness)} from {first + at} is not earlier"
        doc, place = witness, (first + at, within)
    position = place[0]
    if run.reason(doc) == "remainder" and _is_space(run, doc, position, position + 1):
        return None
    if run.reason(doc) is not None:
        return f"its witnesses end in {run.name_of(doc)}, which was removed"
    rest = (run.texts.get(doc) or "")[position : position + _AROUND]
    if Pieces(rest, run.rules).form[place[1] :][:1] != character:
        return f"its witnesses end in another character, {run.name_of(doc)} at {position}"
    return None


def pair_of(run: Run, i: int) -> Pair:
    """A cut passage beside its witness, whose text is here."""
    spans = run.spans
    text, other = (run.texts.get(doc) or "" for doc in (spans.doc[i], spans.witness[i]))
    passage = text[spans.start[i] : spans.end[i]]
    return Pair(passage, other[spans.witness_start[i] : spans.witness_end[i]], run.rules)


def _character(run: Run, doc: int, position: int) -> tuple[Place, str]:
    """The character at a position in the form in which it is compared, and its place."""
    begin = max(0, position - _AROUND)
    around = Pieces((run.texts.get(doc) or "")[begin : position + _AROUND], run.rules)
    own = around.own_at((position - begin, 0))
    at, within = around.place_of(own)
    return (begin + at, within), around.form[own : own + 1]
