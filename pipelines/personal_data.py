"""Personal data and markers in the documents that remain: the phases that look for them."""

from unrote.corpus.schema import (
    DOCUMENTS,
    DUPLICATES,
    FINDINGS,
    FIRST_FINDINGS,
    FIRST_REPLACEMENTS,
    NAMED_ENTITIES,
    NER_WINDOWS,
    REPLACED_VALUES,
    REPLACEMENTS,
    SCAN_REJECTS,
    SPANS,
    UNSAMPLED,
    Table,
)
from unrote.pii.everywhere import DistinctValues, OtherOccurrences
from unrote.pii.ner import Model
from unrote.pii.ner.stages import BatchGroups, CutNerWindows, FindEntities, groups_for
from unrote.pii.stages import Scan
from unrote.pipelines.engines.base import Flow
from unrote.pipelines.job import Phases
from unrote.pipelines.rejects import held_back
from unrote.pipelines.sampled import Unsampled


def named_entities(job: Phases) -> None:
    """What a model for entities finds in the remaining documents, a batch group at a time."""
    config, loaded = job.settings.scan_config, job.ner_model
    model = Model.of(config)
    flow = Flow()
    stage = CutNerWindows(
        model=model,
        width=loaded.width,
        digest=loaded.digest,
        normalization=config.normalization,
        max_chars=config.max_chars,
        several=job.settings.fields.several,
    )
    windows = flow.map(stage, flow.read("records", drop=_not_searched(job)))
    flow.write(NER_WINDOWS, windows[NER_WINDOWS.name])
    job.phase("ner-windows", flow)

    flow = Flow()
    grouped = flow.map(BatchGroups(groups_for(job.rows(NER_WINDOWS))), flow.read(None, NER_WINDOWS))
    found = flow.group(FindEntities(model, loaded.digest), grouped=grouped["grouped"])
    flow.write(NAMED_ENTITIES, found[NAMED_ENTITIES.name])
    job.phase("named-entities", flow)


def findings(job: Phases) -> None:
    """Personal data and markers in the remaining documents, and their replacements.

    Detectors read the text of the input, passages that are cut included: a cut may split an
    address, and what reaches into text that stays is replaced whole.
    """
    settings = job.settings.pii
    cut = job.settings.cuts_passages
    stage = Scan(
        config=job.settings.scan_config,
        secret=job.key,
        actions=tuple(sorted(settings.all_actions.items())),
        columns=tuple(settings.columns),
        cut=cut,
        several=job.settings.fields.several,
        everywhere=settings.everywhere,
    )
    beside: tuple[Table, ...] = (SPANS,) if cut else ()
    if settings.sample < 1:
        sample(job)
    if job.settings.finds_entities:
        named_entities(job)
        beside += (NAMED_ENTITIES,)
    flow = Flow()
    found = flow.map(stage, flow.read("records", *beside, drop=_not_searched(job)))
    flow.write(FIRST_FINDINGS if settings.everywhere else FINDINGS, found["findings"])
    flow.write(FIRST_REPLACEMENTS if settings.everywhere else REPLACEMENTS, found["replacements"])
    flow.write(SCAN_REJECTS, found["rejects"])
    if settings.everywhere:
        distinct = flow.group(DistinctValues(), values=found["values"])
        flow.write(REPLACED_VALUES, distinct["values"])
    job.phase("findings", flow)
    if settings.everywhere:
        other_occurrences(job)


def _not_searched(job: Phases) -> tuple[Table, ...]:
    """Documents that are not searched for personal data."""
    unsampled = (UNSAMPLED,) if job.settings.pii.sample < 1 else ()
    return (DUPLICATES, *held_back(job.settings), *unsampled)


def sample(job: Phases) -> None:
    """Draw the documents that are searched for personal data (a gate's --sample)."""
    flow = Flow()
    drawn = flow.map(Unsampled(job.settings.pii.sample), flow.read(None, DOCUMENTS))
    flow.write(UNSAMPLED, drawn["unsampled"])
    job.phase("sample", flow)


def other_occurrences(job: Phases) -> None:
    """What was replaced in one document, in all others."""
    cut = job.settings.cuts_passages
    stage = OtherOccurrences(job.key, job.settings.scan_config.normalization, cut)
    tables = (FIRST_FINDINGS, FIRST_REPLACEMENTS, *((SPANS,) if cut else ()))
    flow = Flow()
    source = flow.read(
        "records", *tables, drop=(*_not_searched(job), SCAN_REJECTS), whole=(REPLACED_VALUES,)
    )
    found = flow.map(stage, source)
    flow.write(FINDINGS, found["findings"])
    flow.write(REPLACEMENTS, found["replacements"])
    job.phase("other-occurrences", flow)
