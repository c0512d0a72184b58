"""The phases that say what a model would recite of the text as it would be released.

Cheap ones see every sequence: how often its parts recur, and what its words tell. The language
model, and the exact count of copies, are for the riskiest of them and a random sample.
"""

from dataclasses import dataclass

from corpus.schema import (
    COUNTED,
    DOCUMENTS,
    DUPLICATES,
    MEASURED,
    RECURRING,
    REJECTS,
    REPLACEMENTS,
    RISKY,
    SCORES,
    SEQUENCES,
    SPANS,
    UNREADABLE,
    WANTED,
    Table,
)
from dedup.copies import AddUpCopies, CountCopies
from dedup.recurring import Common, Recurring, Runs
from memorization.rate import Measure, Rate
from memorization.refuse import Earlier, Refuse
from memorization.survey import RANKS, SIZES, Choice, Draw, Survey, choice
from pipelines.config import Settings
from pipelines.engines.base import Flow
from pipelines.job import Phases
from pipelines.report.adding import AddUp

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


def score(job: Phases) -> None:
    """Score the sequences of the released view; commits SCORES."""
    view = released_view(job.settings)
    recurring(job, view)
    survey(job, view)
    sizes = job.first_rows(SIZES_BY_RANK, RANKS)
    chosen = choice(sizes, max_tokens(job))
    draw(job, view, chosen)
    copies(job, view)
    measure(job)
    rate(job, chosen, sum(row["own"] for row in sizes))
    if rejects_documents(job.settings):
        refuse(job)


def max_tokens(job: Phases) -> int:
    """What the model reads, 0 for all there is."""
    given = job.settings.memorization.max_tokens
    return given or (TOKENS_ON_CPU if job.reader.device == "cpu" else 0)


def recurring(job: Phases, view: Released) -> None:
    """Sampled runs of bytes that the released view shares with itself or the input."""
    flow = Flow()
    names = tuple(table.name for table in view.removed)
    stage = Runs(edits=view.names, removed=names, cut=view.cut)
    runs = flow.map(stage, flow.read("text", *view.removed, *view.edits))
    found = flow.group(Recurring(), runs=runs["runs"])
    common = flow.group(Common(), crowd=found["crowd"])
    flow.write(RECURRING, found["recurring"], common["recurring"])
    job.phase("recurring", flow)


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
    found = flow.map(stage, flow.read("text", RECURRING, *view.edits, drop=view.removed))
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
    flow.write(COUNTED, flow.group(AddUpCopies(), counted=counted["counted"])["counted"])
    job.phase("sequence-copies", flow)


def measure(job: Phases) -> None:
    """What the language model says of these."""
    settings = job.settings.memorization
    flow = Flow()
    stage = Measure(
        model=settings.model,
        reference=settings.reference,
        device=settings.device,
        precision=settings.precision,
        digest=job.reader.digest,
        config=settings.config,
    )
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


def refuse(job: Phases) -> None:
    """Documents with a sequence at risk are rejects."""
    flow = Flow()
    stage = Refuse(above=job.settings.memorization.above)
    refused = flow.map(stage, flow.read(None, DOCUMENTS, RISKY, only=(RISKY,)))
    earlier = UNREADABLE
    if job.settings.pii.enabled:
        earlier = rejects_of(job.settings, "findings")
    before = flow.map(Earlier(earlier.name), flow.read(None, earlier))
    flow.write(REJECTS, before["rejects"], refused["rejects"])
    job.phase("refused", flow)
