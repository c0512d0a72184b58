"""Sequences lie in what is left and cover it, and a few are counted again."""

import heapq
from collections.abc import Iterator, Sequence

import xxhash

from unrote.pipelines.verify.layout import ROW_BITS
from unrote.pipelines.verify.ranges import joined, touches
from unrote.pipelines.verify.readers import guarded, opened, raw_rows, read_fields, until_torn
from unrote.pipelines.verify.records import Finding, Recounted, ScoredSequence
from unrote.pipelines.verify.released import Left, LeftValues
from unrote.pipelines.verify.risks import risk_problem
from unrote.pipelines.verify.state import Run

CATEGORIES = ("recite", "reconstruct", "recollect")

RECOUNTED = 20
"""Sequences of which the copies are counted again, by looking through the whole input."""


def check_scores(
    run: Run,
    doc: int,
    text: str,
    found: Sequence[ScoredSequence],
    rejected: bool,
    changed: Sequence[Finding],
) -> None:
    """The sequences of a document lie in it, cover its released text, and have the right action.

    rejected: by a detector. changed: what was replaced in the text.
    """
    tally, name = run.tally["scores"], run.name_of(doc)
    if rejected or run.reason(doc) is not None or not run.rules.scores:
        tally.expect(not found, "%s has scores and is not released", name)
        return
    tally.expect(bool(found), "%s has no scores", name)
    lost = any(one.action == "remove-document" for one in found) and doc not in run.refused
    tally.expect(not lost, "%s is to be removed and is no reject", name)
    for before, one in zip([None, *found], found, strict=False):
        problem = _sequence_problem(run, one, text, before)
        tally.expect(problem is None, "%s [%d, %d): %s", name, one.start, one.end, problem)
    ranges = [(one.start, one.end) for one in found]
    if not changed and all(one.scored_by for one in found):
        covered = joined([*ranges, *run.cuts(doc)])
        tally.expect(covered == ((0, len(text)),), "%s is not covered by its sequences", name)
    if run.recounts:
        apart = [*run.cuts(doc), *((finding.start, finding.end) for finding in changed)]
        for one in found:
            whole = one.start < one.end and not touches(apart, one.start, one.end)
            if one.copies_deduplicated is not None and whole:
                _recount_later(run, one, text)


def _sequence_problem(
    run: Run, one: ScoredSequence, text: str, before: ScoredSequence | None
) -> str | None:
    high = -1.0 if one.risk_high is None else one.risk_high
    at_risk = high >= run.rules.risk_threshold and one.end > one.start
    removed = at_risk and run.rules.action != "report"
    problems = {
        "it is not in the text": not 0 <= one.start <= one.end <= len(text),
        "it ends before the one before it": before is not None and one.end < before.end,
        "it was scored by nothing known": one.scored_by not in (None, "model", "text"),
        "it lacks measures, and a reason": one.scored_by != "model" and one.reason is None,
        "it has no risk though it was scored, or the other way round": (
            (one.risk is None) != (one.scored_by is None)
        ),
        "its category is none that is known": (
            one.category not in (CATEGORIES if one.scored_by is not None else (None,))
        ),
        "the model read it, and its copies were not counted": (
            one.scored_by == "model" and one.copies_deduplicated is None
        ),
        "its risk asks for another action": one.action != (run.rules.action if removed else "keep"),
    }
    found = next((problem for problem, is_so in problems.items() if is_so), None)
    if found is None and one.risk is not None:
        return risk_problem(one, run.rules.target) or None
    return found


def _recount_later(run: Run, one: ScoredSequence, text: str) -> None:
    """Keep the sequence for `check_copies`, if it is among those that a hash chooses."""
    draw = xxhash.xxh3_64_intdigest(f"{one.doc} {one.start} {one.end}".encode())
    if len(run.recounted) < RECOUNTED or -draw > run.recounted[0].draw:
        heapq.heappush(run.recounted, Recounted(-draw, one, text[one.start : one.end]))
        if len(run.recounted) > RECOUNTED:
            heapq.heappop(run.recounted)


def check_copies(run: Run) -> None:
    """Count copies of a few sequences again, in every view, by looking through the input.

    They are sequences without a cut or a replaced value in them. What stands instead of
    replaced values is in no table, so that in documents with some they can't be counted exactly.
    """
    chosen = sorted(run.recounted)
    counts = [[0, 0, 0] for _ in chosen]
    for shard in run.shards.values() if chosen else ():
        rows = raw_rows(shard, opened(shard.url))
        readable = guarded(until_torn(rows), run.tally["input"], shard.name)
        for number, raw in enumerate(readable):
            text, doc = read_fields(raw, shard, run.rules).text, shard.number << ROW_BITS | number
            if text is not None:
                rejected = number in run.rejects.get(shard.number, ())
                for number, view in enumerate(_views(run, doc, text, rejected)):
                    for count, one in zip(counts, chosen, strict=True):
                        count[number] += view.count(one.text)
    for (before, deduplicated, least), (_, row, _) in zip(counts, chosen, strict=True):
        said = (row.copies_input, row.copies_deduplicated)
        exact = row.copies >= least if run.altered else row.copies == least
        run.tally["copies"].expect(
            said == (before, deduplicated) and exact and row.copies > 0,
            "%s [%d, %d) has %d, %d and %d copies, the table says %d, %s and %d",
            *(run.name_of(row.doc), row.start, row.end, before, deduplicated, least, *said),
            row.copies,
        )


def _views(run: Run, doc: int, text: str, rejected: bool) -> Iterator[str]:
    """What is in the input, in what deduplication left, and in what was scored, as far as known."""
    yield text
    if run.reason(doc) is not None:
        return
    made = LeftValues if run.rules.text.several else Left
    left = "".join(made(text, run.cuts(doc), ()).chunks)
    yield left
    if doc not in run.altered and (not rejected or doc in run.refused):
        yield left
