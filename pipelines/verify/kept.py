"""The twin of every removed copy is kept, to its last byte, or what became of it is said."""

import heapq
import json
from bisect import bisect_right

from unrote.pipelines.verify.layout import DAMAGE
from unrote.pipelines.verify.state import Run
from unrote.pipelines.verify.witnesses import pair_of


def check_kept_twins(run: Run) -> None:
    """A twin is in what deduplication kept, or went as a remainder: then all of its text but what
    `min_remaining` allows is copied from text that is kept. Of twins that were rejected later the
    report says how many copies they had.
    """
    tally = run.tally["kept twins"]
    copies = [one for one in run.duplicates.values() if one.reason in ("exact", "near")]
    twins = {one.twin for one in copies if one.twin is not None}
    for twin in sorted(twins):
        tally.expect(not run.copied(twin), "%s is a twin and a copy itself", run.name_of(twin))
    lost = sum(one.twin is not None and run.rejected(one.twin) for one in copies)
    tally.expect(
        _said_to_be_lost(run) == lost,
        "report.json does not say that %d documents went as copies of rejected ones",
        lost,
    )
    gone = {twin for twin in twins if run.reason(twin) == "remainder"}
    for doc, position, problem in _Followed(run, gone).problems():
        tally.fail(
            "text of a twin leads to %s, character %d: %s", run.name_of(doc), position, problem
        )


def _said_to_be_lost(run: Run) -> int | None:
    try:
        with run.open("report.json") as stream:
            report = json.load(stream)
    except DAMAGE:
        return None
    number = report.get("copies_of_rejected") if isinstance(report, dict) else None
    return number if isinstance(number, int) else None


class _Followed:
    """The ways from what was cut of some documents to what is kept, all of them at once.

    A witness stands before what it is witness to. So documents are taken from the last to the
    first, and the ranges of one from its end: nothing is looked at twice.
    """

    def __init__(self, run: Run, docs: set[int]) -> None:
        self._run = run
        self._wanted: dict[int, list[tuple[int, int]]] = {}
        self._docs: list[int] = []
        for doc in docs:
            for start, end in run.cuts(doc):
                self._want(doc, start, end)

    def _want(self, doc: int, start: int, end: int) -> None:
        if doc not in self._wanted:
            self._wanted[doc] = []
            heapq.heappush(self._docs, -doc)
        heapq.heappush(self._wanted[doc], (-end, start))

    def problems(self) -> list[tuple[int, int, str]]:
        """Where a way ends in text that is not kept: document, character, and why."""
        found = []
        while self._docs:
            doc = -heapq.heappop(self._docs)
            ranges, low = self._wanted[doc], None
            while ranges:
                end, start = heapq.heappop(ranges)
                end = -end if low is None else min(-end, low)
                if start < end:
                    low = start
                    found += [(doc, *problem) for problem in self._follow(doc, start, end)]
            del self._wanted[doc]
        return found

    def _follow(self, doc: int, start: int, end: int) -> list[tuple[int, str]]:
        """Want the witnesses of a range; what is wrong with what has none, and with those."""
        run, found = self._run, []
        while end > start:
            i = run.spans.row_at(doc, end - 1)
            if i is None:
                cuts = run.cuts(doc)
                before = bisect_right(cuts, end - 1, key=lambda cut: cut[0]) - 1
                first = max(start, cuts[before][1]) if before >= 0 else start
                left = (run.texts.get(doc) or "")[first:end]
                if run.reason(doc) is not None and not left.isspace():
                    found.append((first, "it was removed and is no copy of earlier text"))
            else:
                first = max(start, run.spans.start[i])
                witness = run.spans.witness[i]
                if witness >= 0:  # texts of an index are not here
                    problem = self._want_witness(i, doc, first, end)
                    found += [(first, problem)] if problem else []
            end = first
        return found

    def _want_witness(self, i: int, doc: int, first: int, end: int) -> str | None:
        """Want what the witness of row i has of a range of the document; what is wrong with it."""
        spans = self._run.spans
        pair, start, base = pair_of(self._run, i), spans.start[i], spans.witness_start[i]
        position = base + pair.there((first - start, 0))[0]
        if (spans.witness[i], position) >= (doc, first) or position < 0:
            return "its witness is not earlier"
        self._want(spans.witness[i], position, base + pair.end_there(end - start))
        return None
