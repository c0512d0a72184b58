"""The phases that verify a round's candidate pairs and select among the documents of them.

One phase does both where the steps of the selection are few. More are written, and selected from in
passes over blocks of the keep order (dedup.blocks), so that no worker has all of them.
"""

from unrote.corpus.schema import KEPT, NEAR, PAIRS, UNDECIDED, Table
from unrote.dedup import blocks
from unrote.dedup.blocks import SPLITS, KnownSteps, PlaceSteps, Position, SampleSteps, Splits
from unrote.dedup.candidates import CANDIDATES, DistinctPairs
from unrote.dedup.first_twins import EarlierKept, FirstTwins, Outcomes, PairedDocuments
from unrote.dedup.index.layout import Index
from unrote.dedup.index.stages import IndexedShingles
from unrote.dedup.selection import STATUSES, STEPS, GreedySelection
from unrote.dedup.similarity import Shingles, Verify
from unrote.pipelines.engines.base import Flow, Output
from unrote.pipelines.job import Phases

Tables = tuple[Table, ...]


def verify(job: Phases, round_: int, index: Index | None = None) -> tuple[Tables, Tables]:
    """Compute the exact similarity of the round's pairs, and select as far as they decide. Returns
    the tables (NEAR) of removed and (KEPT) of kept documents.
    """
    candidates, pairs = CANDIDATES.at(round_), PAIRS.at(round_)
    flow = Flow()
    steps = _verified(job, flow, candidates, pairs, index)
    near, kept = NEAR.at(round_), KEPT.at(round_)
    in_blocks = job.rows(candidates) + job.rows(pairs) > blocks.BLOCK_STEPS
    if in_blocks:
        flow.write(STEPS.at(round_), *steps)
    else:
        selected = flow.group(GreedySelection(), steps=steps)
        flow.write(near, selected["near"])
        flow.write(kept, selected["kept"])
    job.phase(f"near-{round_}-verify", flow)
    return select_in_blocks(job, round_) if in_blocks else ((near,), (kept,))


def _verified(
    job: Phases, flow: Flow, candidates: Table, pairs: Table, index: Index | None
) -> tuple[Output, Output]:
    """The steps (dedup.selection.STEPS) of candidates, and those of the pairs that are similar."""
    settings, form = job.settings.dedup.near, job.settings.input.normal_form
    shingles = flow.map(
        Shingles(settings.unit, settings.ngram, form),
        flow.read("text", candidates, pairs, only=(candidates,)),
    )
    sets: tuple[Output, ...] = (shingles["sets"],)
    if index is not None:
        stage = IndexedShingles(index, settings.unit, settings.ngram, form)
        sets += (flow.group(stage, candidates=flow.read(None, candidates))["sets"],)
    verified = flow.group(Verify(threshold=settings.threshold), sets=sets)
    return shingles["steps"], verified["steps"]


def first_twins(job: Phases, near: Tables, index: Index) -> Tables:
    """Removed documents with the first twin that they have of all that are kept: those before it
    that share a bucket with it are compared with it. near: by the rounds, the first undecided.
    """
    flow = Flow()
    undecided = UNDECIDED.at(1)
    kept = flow.map(Outcomes(), flow.read(None, undecided, drop=near))
    removed = flow.map(Outcomes(removed=True), flow.read(None, undecided, only=near))
    paired = flow.group(EarlierKept(), members=(kept["members"], removed["members"]))
    documents = flow.group(PairedDocuments(), ends=paired["ends"])
    flow.write(CANDIDATES, documents["candidates"])
    flow.write(PAIRS, flow.group(DistinctPairs(), pairs=paired["pairs"])["pairs"])
    job.phase("near-twins-pairs", flow)

    flow = Flow()
    _, similar = _verified(job, flow, CANDIDATES, PAIRS, index)
    flow.write(NEAR, flow.group(FirstTwins(), steps=similar)["near"])
    job.phase("near-twins", flow)
    return (NEAR,)


def select_in_blocks(job: Phases, round_: int) -> tuple[Tables, Tables]:
    """Select from STEPS.at(round_), in as many passes as it takes."""
    near: Tables = ()
    kept: Tables = ()
    left = STEPS.at(round_)
    while job.rows(left):
        number = len(near) + 1
        splits = splits_for(job, left, f"near-{round_}-blocks-{number}")
        flow = Flow()
        selected = flow.group(GreedySelection(), steps=_placed(flow, left, splits, number))
        near += (NEAR.at(round_, number),)
        kept += (KEPT.at(round_, number),)
        left = STEPS.at(round_, number)
        flow.write(near[-1], selected["near"])
        flow.write(kept[-1], selected["kept"])
        flow.write(left, selected["steps"])
        flow.write(STATUSES.at(round_, number), selected["statuses"])
        job.phase(f"near-{round_}-selection-{number}", flow)
    return near, kept


def splits_for(job: Phases, steps: Table, name: str) -> tuple[Position, ...]:
    """Where the blocks of a pass over `steps` begin; () if they are one block."""
    share = blocks.share_for(job.rows(steps), blocks.BLOCK_STEPS)
    if not share:
        return ()
    flow = Flow()
    sample = flow.map(SampleSteps(share), flow.read(None, steps))
    table = SPLITS.at(*steps.rounds)
    found = flow.group(Splits(blocks.SAMPLED), sample=sample["sample"])
    flow.write(table, found["splits"])
    job.phase(name, flow)
    return blocks.splits_of(job.first_rows(table, job.rows(table)))


def _placed(
    flow: Flow, left: Table, splits: tuple[Position, ...], number: int
) -> tuple[Output, ...]:
    """The steps of a pass, with their blocks and what is known since the pass before."""
    if number == 1:
        placed = flow.map(PlaceSteps(splits), flow.read(None, left))
        return (placed["steps"],)
    statuses = STATUSES.at(*left.rounds)
    placed = flow.map(PlaceSteps(splits, first=False), flow.read(None, left, statuses))
    return placed["steps"], flow.group(KnownSteps(), asked=placed["asked"])["steps"]
