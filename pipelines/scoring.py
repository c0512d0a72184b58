"""The phases that score memorization: which sequences of the released text would be extractable?

Cheap phases see every sequence: how often its substrings repeat, and its text features. The
reference model, and the exact count of copies, are for the riskiest of them and a random sample.
"""

from dataclasses import dataclass, replace

from unrote.corpus.beside import ReleasedView
from unrote.corpus.schema import (
    AT_RISK,
    CONTAMINATED,
    CONTAMINATION_REJECTS,
    DOCUMENTS,
    DUPLICATES,
    ENTITIES,
    FINDINGS,
    KEPT_FINDINGS,
    MASKS,
    MEASURED,
    READ,
    REPEATED_SUBSTRINGS,
    REPLACEMENTS,
    RISK_REJECTS,
    SCAN_REJECTS,
    SCORES,
    SELECTED,
    SEQUENCE_COPIES,
    SEQUENCES,
    SPANS,
    Table,
)
from unrote.dedup.copies import CountCopies, SumCopies
from unrote.dedup.repeated_substrings import HotSubstrings, RepeatedSubstrings, SampledSubstrings
from unrote.memorization.at_risk import RejectAtRisk
from unrote.memorization.completion import Complete, KeptFindings, Prompt, sample
from unrote.memorization.goldfish_stage import GoldfishMasks
from unrote.memorization.scores import AtRiskOfScores, Measure, Score
from unrote.memorization.selection import Select, Selection, select
from unrote.memorization.sequences import RANKS, SIZES, CutSequences
from unrote.pipelines.config import Settings
from unrote.pipelines.engines.base import Flow
from unrote.pipelines.job import Phases
from unrote.pipelines.rejects import rejects_documents
from unrote.pipelines.summary.sums import SumByKey

SIZES_BY_RANK = Table("sequence_sizes", SIZES, sort=("doc", "rank"))
"""How many sequences of each rank there are, and their tokens."""

COUNTED_TOKENS = 2_000_000
"""Tokens of the sequences whose copies are counted exactly, where the model reads fewer."""

READ_SHARE = 200
"""Where nothing is said and there is no GPU, the model reads one token in so many of the released
text: about a third as long as the rest of a run takes (docs/memorization.md)."""

READ_LEAST = 20_000
"""Tokens that it reads even so: two hundred sequences."""

PARAMETERS = 5_000_000
"""Of a model up to which that many are read; of a larger one fewer, in proportion."""

READ_LEAST_OF_LARGE = 2_000
"""Tokens that a model of any size reads."""


@dataclass(frozen=True)
class Released:
    """Which tables make the released view out of the text."""

    duplicates: bool
    rejects: tuple[Table, ...]
    edits: tuple[Table, ...]
    cut: bool
    several: bool = False
    """Whether the text may have several values."""

    @property
    def removed(self) -> tuple[Table, ...]:
        """Tables whose documents are not released."""
        twins = (DUPLICATES,) if self.duplicates else ()
        return (*twins, *self.rejects)

    @property
    def view(self) -> ReleasedView:
        """As stages read it."""
        return ReleasedView(tuple(table.name for table in self.edits), self.cut, self.several)


def check_model(job: Phases) -> None:
    """Raise ConfigError or InputError for a model or calibration that cannot be used, before
    anything is run.
    """
    _ = job.reference_model, job.settings.memorization.risk


def released_view(settings: Settings) -> Released:
    """The view of which the tables exist when findings are settled."""
    dedup, cut, several = settings.dedup, settings.cuts_passages, settings.has_several
    edits = (SPANS,) if cut else ()
    twins = dedup.exact.enabled or dedup.near.enabled or dedup.passages.enabled
    if not settings.pii.enabled:
        return Released(twins, (), edits, cut, several)
    return Released(twins, (SCAN_REJECTS,), (*edits, REPLACEMENTS), cut, several)


def final_view(settings: Settings) -> Released:
    """The view without what is at risk of memorization, or in evaluation sets, where that is
    removed.
    """
    view = released_view(settings)
    if settings.contamination.cuts:
        view = replace(view, edits=(*view.edits, CONTAMINATED))
    if settings.contamination.removes:
        view = replace(view, rejects=(*view.rejects, CONTAMINATION_REJECTS))
    if settings.removes_sequences:
        return replace(view, edits=(*view.edits, AT_RISK))
    if rejects_documents(settings):
        return replace(view, rejects=(*view.rejects, RISK_REJECTS))
    return view


def score(job: Phases) -> None:
    """Score the sequences of the released view; commits SCORES, and ENTITIES and MASKS where the
    settings want them.
    """
    view = released_view(job.settings)
    repeated_substrings(job, view)
    sequences(job, view)
    sizes = job.first_rows(SIZES_BY_RANK, RANKS)
    tokens = sum(row["new_tokens"] for row in sizes)
    most = max_tokens(job, tokens)
    selection = select(sizes, most)
    selected(job, view, selection, select(sizes, most and max(most, COUNTED_TOKENS), sample=0.0))
    copies(job, view)
    measure(job)
    scores(job, selection, tokens)
    if rejects_documents(job.settings):
        at_risk_documents(job)
    final = final_view(job.settings)
    if job.settings.pii.enabled and job.settings.memorization.max_entities:
        entities(job, final)
    if job.settings.memorization.masks != "none":
        masks(job, final)


def max_tokens(job: Phases, released: int) -> int:
    """The tokens that the reference model reads, 0 for all there are.

    released: the tokens of the released text. The clock has no say, so that results do not depend
    on it.
    """
    given, model = job.settings.memorization.max_tokens, job.reference_model
    if given or model.device != "cpu":
        return given
    usual = max(released // READ_SHARE, READ_LEAST)
    if model.parameters <= PARAMETERS:
        return usual
    return max(usual * PARAMETERS // model.parameters, READ_LEAST_OF_LARGE)


def repeated_substrings(job: Phases, view: Released) -> None:
    """Sampled substrings that the released view shares with itself or the input."""
    flow = Flow()
    names = tuple(table.name for table in view.removed)
    stage = SampledSubstrings(view=view.view, removed=names)
    substrings = flow.map(stage, flow.read("text", *view.removed, *view.edits))
    found = flow.group(RepeatedSubstrings(), substrings=substrings["substrings"])
    hot = flow.group(HotSubstrings(), hot=found["hot"])
    flow.write(REPEATED_SUBSTRINGS, found["repeated"], hot["repeated"])
    job.phase("repeated-substrings", flow)


def sequences(job: Phases, view: Released) -> None:
    """Every sequence of the released view, and how many there are by rank."""
    settings = job.settings.memorization
    flow = Flow()
    stage = CutSequences(
        model=settings.model,
        digest=job.reference_model.digest,
        config=settings.config,
        view=view.view,
    )
    found = flow.map(stage, flow.read("text", REPEATED_SUBSTRINGS, *view.edits, drop=view.removed))
    flow.write(SEQUENCES, found["sequences"])
    adding = SumByKey(SIZES_BY_RANK, "rank", SIZES.names[2:])
    flow.write(SIZES_BY_RANK, flow.group(adding, parts=found["sizes"])["rows"])
    job.phase("sequences", flow)


def selected(job: Phases, view: Released, read: Selection, counted: Selection) -> None:
    """The sequences that the model reads and whose copies are counted, with their texts."""
    flow = Flow()
    form = job.settings.input.normal_form
    stage = Select(read=read, counted=counted, view=view.view, normalization=form)
    source = flow.read("text", SEQUENCES, *view.edits, only=(SEQUENCES,))
    found = flow.map(stage, source)
    flow.write(SELECTED, found["selected"])
    flow.write(READ, found["read"])
    job.phase("selection", flow)


def copies(job: Phases, view: Released) -> None:
    """Exact and near copies of the selected sequences, in every view."""
    flow = Flow()
    rejects = "".join(table.name for table in view.rejects)  # one at most
    stage = CountCopies(
        duplicates=view.duplicates,
        rejects=rejects,
        view=view.view,
        normalization=job.settings.input.normal_form,
    )
    source = flow.read("text", *view.removed, *view.edits, whole=(SELECTED,))
    counted = flow.map(stage, source)
    flow.write(SEQUENCE_COPIES, flow.group(SumCopies(), counted=counted["counted"])["counted"])
    job.phase("sequence-copies", flow)


def measure(job: Phases) -> None:
    """The reference model's measures of the sequences that it reads."""
    settings = job.settings.memorization
    flow = Flow()
    stage = Measure(settings.models, job.reference_model.digest)
    flow.write(MEASURED, flow.group(stage, read=flow.read(None, READ))["measured"])
    job.phase("measures", flow)


def scores(job: Phases, selection: Selection, tokens: int) -> None:
    """The risk of every sequence."""
    settings = job.settings.memorization
    action = "keep" if settings.action == "report" else settings.action
    flow = Flow()
    stage = Score(selection, settings.risk, tokens, threshold=settings.threshold, action=action)
    found = flow.map(stage, flow.read(None, SEQUENCES, SEQUENCE_COPIES, MEASURED))
    flow.write(SCORES, found["scores"])
    flow.write(AT_RISK, found["at_risk"])
    job.phase("scores", flow)


def at_risk_again(job: Phases) -> None:
    """The internal table AT_RISK of a finished run, from what was published."""
    flow = Flow()
    flow.write(AT_RISK, flow.map(AtRiskOfScores(), flow.read(None, SCORES))["at_risk"])
    job.phase("at-risk", flow)


def at_risk_documents(job: Phases) -> None:
    """Documents with a sequence at risk are rejects."""
    flow = Flow()
    settings = job.settings.memorization
    band = settings.scored_target is not None
    stage = RejectAtRisk(threshold=settings.threshold, band=band)
    at_risk = flow.map(stage, flow.read(None, DOCUMENTS, AT_RISK, only=(AT_RISK,)))
    flow.write(RISK_REJECTS, at_risk["rejects"])
    job.phase("at-risk-documents", flow)


def entities(job: Phases, view: Released) -> None:
    """Whether the reference model completes personal data that stays in the text, or a sample."""
    settings = job.settings.memorization
    flow = Flow()
    kept = KeptFindings(without=job.settings.pii.harmless)
    found = flow.map(kept, flow.read(None, FINDINGS, drop=view.removed))
    flow.write(KEPT_FINDINGS, found["kept_findings"])
    job.phase("kept-findings", flow)

    flow = Flow()
    prompt = Prompt(
        selection=sample(job.rows(KEPT_FINDINGS), settings.max_entities),
        model=settings.model,
        digest=job.reference_model.digest,
        view=view.view,
    )
    prompts = flow.map(prompt, flow.read("text", KEPT_FINDINGS, *view.edits, only=(KEPT_FINDINGS,)))
    complete = Complete(settings.models, job.reference_model.digest)
    flow.write(ENTITIES, flow.group(complete, prompts=prompts["prompts"])["entities"])
    job.phase("entities", flow)


def masks(job: Phases, view: Released) -> None:
    """Which tokens of the released documents are to be left out of the training loss."""
    settings = job.settings.memorization
    only_at_risk = settings.masks == "at-risk"
    flow = Flow()
    stage = GoldfishMasks(
        model=settings.mask_tokenizer or settings.model,
        digest=job.reference_model.tokenizer,
        k=settings.mask_k,
        h=settings.mask_h,
        mask_key=settings.mask_key,
        threshold=settings.threshold if only_at_risk else None,
        view=view.view,
    )
    at_risk = (SCORES,) if only_at_risk else ()
    source = flow.read("text", *view.edits, *at_risk, drop=view.removed)
    flow.write(MASKS, flow.map(stage, source)["masks"])
    job.phase("masks", flow)
