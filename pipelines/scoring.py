"""The phases that say what a model would recite of the text as it would be released.

Cheap ones see every sequence: how often its parts recur, and what its words tell. The language
model, and the exact count of copies, are for the riskiest of them and a random sample.
"""

from dataclasses import dataclass, replace

from unrote.corpus.schema import (
    COUNTED,
    DOCUMENTS,
    DUPLICATES,
    ENTITIES,
    FINDINGS,
    MASKS,
    MEASURED,
    REJECTS,
    REMAINING,
    REPEATED_SUBSTRINGS,
    REPLACEMENTS,
    RISKY,
    SCORES,
    SEQUENCES,
    SPANS,
    UNREADABLE,
    WANTED,
    Table,
)
from unrote.dedup.copies import CountCopies, SumCopies
from unrote.dedup.repeated_substrings import HotSubstrings, RepeatedSubstrings, SampledSubstrings
from unrote.memorization.masking import Mask
from unrote.memorization.rate import Measure, Rate, Remembered
from unrote.memorization.refuse import Earlier, Refuse
from unrote.memorization.remaining import Answer, Ask, Remain, sample
from unrote.memorization.survey import RANKS, SIZES, Choice, Draw, Survey, choice
from unrote.pipelines.config import Settings
from unrote.pipelines.engines.base import Flow
from unrote.pipelines.job import Phases
from unrote.pipelines.report.adding import AddUp

SIZES_BY_RANK = Table("sequence_sizes", SIZES, sort=("doc", "rank"))
"""How many sequences of each rank there are, and their tokens."""

TOKENS_ON_CPU = 2_000_000
"""What the model reads where nothing is said and it has no GPU: minutes, for a small one."""


@dataclass(frozen=True)
class Released:
    """Which tables make the released view out of the text."""

    duplicates: bool
    rejects: Table | None
    edits: tuple[Table, ...]
    cut: bool

    @property
    def removed(self) -> tuple[Table, ...]:
        """Tables whose documents are not released."""
        twins = (DUPLICATES,) if self.duplicates else ()
        return twins if self.rejects is None else (*twins, self.rejects)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(table.name for table in self.edits)


def check(job: Phases) -> None:
    """Raise ConfigError or InputError for a model or calibration that cannot be used, before
    anything is run.
    """
    _ = job.reader, job.settings.memorization.risk


def rejects_documents(settings: Settings) -> bool:
    """Whether documents are rejected for what a model would recite of them."""
    ours = settings.memorization
    return ours.enabled and ours.action == "remove-document"


def removes_sequences(settings: Settings) -> bool:
    """Whether sequences are taken out for what a model would recite of them."""
    ours = settings.memorization
    return ours.enabled and ours.action == "remove-sequence"


def rejects_of(settings: Settings, phase: str) -> Table:
    """The table that the phase writes rejects to: the last one with any publishes them all."""
    finding = ["fingerprint"]
    finding += ["findings"] if settings.pii.enabled else []
    finding += ["refused"] if rejects_documents(settings) else []
    if phase == finding[-1]:
        return REJECTS
    number = finding.index(phase)
    return UNREADABLE.at(number) if number else UNREADABLE


def released_view(settings: Settings) -> Released:
    """The view of which the tables exist when findings are settled."""
    dedup = settings.dedup
    cut = dedup.passages.enabled and dedup.passages.action == "cut"
    edits = (SPANS,) if cut else ()
    twins = dedup.exact.enabled or dedup.near.enabled or dedup.passages.enabled
    if not settings.pii.enabled:
        return Released(twins, None, edits, cut)
    rejects = rejects_of(settings, "findings")
    return Released(twins, rejects, (*edits, REPLACEMENTS), cut)


def final_view(settings: Settings) -> Released:
    """The view without what a model would recite, where that is removed."""
    view = released_view(settings)
    if removes_sequences(settings):
        return replace(view, edits=(*view.edits, RISKY))
    return replace(view, rejects=REJECTS) if rejects_documents(settings) else view


def score(job: Phases) -> None:
    """Score the sequences of the released view; commits SCORES, and what is asked for of ENTITIES
    and MASKS.
    """
    view = released_view(job.settings)
    repeated_substrings(job, view)
    survey(job, view)
    sizes = job.first_rows(SIZES_BY_RANK, RANKS)
    chosen = choice(sizes, max_tokens(job))
    draw(job, view, chosen)
    copies(job, view)
    measure(job)
    rate(job, chosen, sum(row["own"] for row in sizes))
    if rejects_documents(job.settings):
        refuse(job)
    final = final_view(job.settings)
    if job.settings.pii.enabled and job.settings.memorization.max_entities:
        entities(job, final)
    if job.settings.memorization.masks != "none":
        masks(job, final)


def max_tokens(job: Phases) -> int:
    """What the model reads, 0 for all there is."""
    given = job.settings.memorization.max_tokens
    return given or (TOKENS_ON_CPU if job.reader.device == "cpu" else 0)


def repeated_substrings(job: Phases, view: Released) -> None:
    """Sampled substrings that the released view shares with itself or the input."""
    flow = Flow()
    names = tuple(table.name for table in view.removed)
    stage = SampledSubstrings(edits=view.names, removed=names, cut=view.cut)
    substrings = flow.map(stage, flow.read("text", *view.removed, *view.edits))
    found = flow.group(RepeatedSubstrings(), substrings=substrings["substrings"])
    hot = flow.group(HotSubstrings(), hot=found["hot"])
    flow.write(REPEATED_SUBSTRINGS, found["repeated"], hot["repeated"])
    job.phase("repeated-substrings", flow)


def survey(job: Phases, view: Released) -> None:
    """Every sequence of the released view, and how many there are by rank."""
    settings = job.settings.memorization
    flow = Flow()
    stage = Survey(
        model=settings.model,
        digest=job.reader.digest,
        config=settings.config,
        risk=settings.risk,
        edits=view.names,
        cut=view.cut,
    )
    found = flow.map(stage, flow.read("text", REPEATED_SUBSTRINGS, *view.edits, drop=view.removed))
    flow.write(SEQUENCES, found["sequences"])
    adding = AddUp(SIZES_BY_RANK, "rank", ("sequences", "tokens", "own"))
    flow.write(SIZES_BY_RANK, flow.group(adding, parts=found["sizes"])["rows"])
    job.phase("sequences", flow)


def draw(job: Phases, view: Released, chosen: Choice) -> None:
    """The sequences that are read and counted, with their texts."""
    flow = Flow()
    stage = Draw(choice=chosen, edits=view.names, cut=view.cut)
    source = flow.read("text", SEQUENCES, *view.edits, only=(SEQUENCES,))
    flow.write(WANTED, flow.map(stage, source)["wanted"])
    job.phase("drawn", flow)


def copies(job: Phases, view: Released) -> None:
    """Exact and near copies of these, in every view."""
    flow = Flow()
    rejects = "" if view.rejects is None else view.rejects.name
    stage = CountCopies(duplicates=view.duplicates, rejects=rejects, edits=view.names, cut=view.cut)
    source = flow.read("text", *view.removed, *view.edits, whole=(WANTED,))
    counted = flow.map(stage, source)
    flow.write(COUNTED, flow.group(SumCopies(), counted=counted["counted"])["counted"])
    job.phase("sequence-copies", flow)


def measure(job: Phases) -> None:
    """What the language model says of these."""
    settings = job.settings.memorization
    flow = Flow()
    stage = Measure(settings.models, job.reader.digest)
    flow.write(MEASURED, flow.group(stage, wanted=flow.read(None, WANTED))["measured"])
    job.phase("measures", flow)


def rate(job: Phases, chosen: Choice, tokens: int) -> None:
    """The risk of every sequence."""
    settings = job.settings.memorization
    action = "keep" if settings.action == "report" else settings.action
    flow = Flow()
    stage = Rate(chosen, settings.risk, tokens, above=settings.above, action=action)
    found = flow.map(stage, flow.read(None, SEQUENCES, COUNTED, MEASURED))
    flow.write(SCORES, found["scores"])
    flow.write(RISKY, found["risky"])
    job.phase("scores", flow)


def risky_again(job: Phases) -> None:
    """The internal table RISKY of a finished run, from what was published."""
    flow = Flow()
    flow.write(RISKY, flow.map(Remembered(), flow.read(None, SCORES))["risky"])
    job.phase("risky", flow)


def refuse(job: Phases) -> None:
    """Documents with a sequence at risk are rejects."""
    flow = Flow()
    stage = Refuse(above=job.settings.memorization.above)
    refused = flow.map(stage, flow.read(None, DOCUMENTS, RISKY, only=(RISKY,)))
    before_it = "findings" if job.settings.pii.enabled else "fingerprint"
    earlier = rejects_of(job.settings, before_it)
    before = flow.map(Earlier(earlier.name), flow.read(None, earlier))
    flow.write(REJECTS, before["rejects"], refused["rejects"])
    job.phase("refused", flow)


def entities(job: Phases, view: Released) -> None:
    """Whether a model completes the findings that are left in the text, or a sample of them."""
    settings = job.settings.memorization
    flow = Flow()
    remain = Remain(without=job.settings.pii.harmless)
    found = flow.map(remain, flow.read(None, FINDINGS, drop=view.removed))
    flow.write(REMAINING, found["remaining"])
    job.phase("remaining", flow)

    flow = Flow()
    ask = Ask(
        choice=sample(job.rows(REMAINING), settings.max_entities),
        model=settings.model,
        digest=job.reader.digest,
        edits=view.names,
        cut=view.cut,
    )
    asked = flow.map(ask, flow.read("text", REMAINING, *view.edits, only=(REMAINING,)))
    answer = Answer(settings.models, job.reader.digest)
    flow.write(ENTITIES, flow.group(answer, asked=asked["asked"])["entities"])
    job.phase("entities", flow)


def masks(job: Phases, view: Released) -> None:
    """Which tokens of the released documents are to be left out of the training loss."""
    settings = job.settings.memorization
    risky = settings.masks == "risky"
    flow = Flow()
    stage = Mask(
        model=settings.mask_tokenizer or settings.model,
        digest=job.reader.tokenizer,
        k=settings.mask_k,
        h=settings.mask_h,
        mask_key=settings.mask_key,
        above=settings.above if risky else None,
        edits=view.names,
        cut=view.cut,
    )
    scores = (SCORES,) if risky else ()
    source = flow.read("text", *view.edits, *scores, drop=view.removed)
    flow.write(MASKS, flow.map(stage, source)["masks"])
    job.phase("masks", flow)
