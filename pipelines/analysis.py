"""The analysis that clean and gate share: what is there more than once. A list of phases.

Each function builds the flow of a phase or of a few that belong together. What a phase knows of
another is only the tables in corpus/schema.py.
"""

from corpus.errors import TooManyRejects
from corpus.schema import (
    BANDS,
    COPIES,
    DOCUMENTS,
    DUPLICATES,
    EXACT,
    FINGERPRINTS,
    KEPT,
    NEAR,
    PAIRS,
    REJECTS,
    SPANS,
    UNDECIDED,
    Table,
)
from dedup import exact, near
from pipelines.engines.base import Flow, Read
from pipelines.job import Job


def analyse(job: Job) -> None:
    """Find duplicate documents and passages; commits the published tables."""
    fingerprint(job)
    refuse_too_many_rejects(job)
    removed: tuple[Table, ...] = ()
    if job.settings.dedup.exact.enabled:
        removed += exact_duplicates(job)
    if job.settings.dedup.near.enabled:
        removed += near_duplicates(job, removed)
    if job.settings.dedup.passages.enabled:
        copies(job, removed)
    conclude(job, removed)


def fingerprint(job: Job) -> None:
    """Read every row once: documents, fingerprints, LSH buckets and rejects."""
    settings = job.settings.dedup
    flow = Flow()
    stage = exact.Fingerprint(
        normalise=settings.exact.normalise,
        near=settings.near.enabled,
        threshold=settings.near.threshold,
        unit=settings.near.unit,
        ngram=settings.near.ngram,
        permutations=settings.near.permutations,
        max_miss=settings.near.max_miss,
        keep=settings.near.keep,
    )
    out = flow.map(stage, flow.read("records"))
    flow.write(DOCUMENTS, out["documents"])
    flow.write(FINGERPRINTS, out["fingerprints"])
    flow.write(BANDS, out["bands"])
    flow.write(REJECTS, out["rejects"])
    job.phase("fingerprint", flow)


def refuse_too_many_rejects(job: Job) -> None:
    """Raise TooManyRejects, with the first reasons, where more rows are unreadable than allowed."""
    rejected = job.rows(REJECTS)
    total = rejected + job.rows(DOCUMENTS)
    limit = job.settings.input.max_rejects
    if rejected <= limit * total:
        return
    shown = "\n".join(f"  {r['shard']}, row {r['row']}: {r['reason']}" for r in job.first_rows(REJECTS, 5))
    raise TooManyRejects(
        f"{rejected:,} of {total:,} rows were rejected ({rejected / total:.2%}; input.max_rejects "
        f"allows {limit:.2%}). The first:\n{shown}\n"
        "Mend the input, or allow more with --set input.max_rejects=SHARE."
    )


def exact_duplicates(job: Job) -> tuple[Table, ...]:
    """Of documents with the same normalised text, keep the first in keep order."""
    flow = Flow()
    found = flow.group(exact.Exact(), fingerprints=flow.read(None, FINGERPRINTS))
    flow.write(EXACT, found["exact"])
    job.phase("exact", flow)
    return (EXACT,)


def near_duplicates(job: Job, removed: tuple[Table, ...]) -> tuple[Table, ...]:
    """Keep the first maximal set of documents of which no two are similar, by rounds.

    A round keeps the undecided documents that come first in all their buckets, and compares the
    others in those buckets with them. Rounds end when no bucket holds two undecided documents.
    """
    source = Flow().read(None, BANDS, drop=removed)
    tables: tuple[Table, ...] = ()
    round_ = 1
    while True:
        pairs(job, source, round_)
        if not job.rows(PAIRS.at(round_)):
            return tables
        verify(job, round_)
        tables += (NEAR.at(round_),)
        source = Flow().read(None, UNDECIDED.at(round_), drop=(NEAR.at(round_),))
        round_ += 1


def pairs(job: Job, source: Read, round_: int) -> None:
    """Decide who is kept in this round, and pair the others with them."""
    flow = Flow()
    crowded = flow.group(near.Crowded(), bands=source)
    decided = flow.group(near.Decide(), crowded=crowded["crowded"])
    met = flow.group(near.Meet(), members=decided["members"])
    distinct = flow.group(near.Distinct(), pairs=met["pairs"])
    flow.write(KEPT.at(round_), decided["kept"])
    flow.write(UNDECIDED.at(round_), decided["undecided"])
    flow.write(PAIRS.at(round_), distinct["pairs"])
    job.phase(f"near-{round_}-pairs", flow)


def verify(job: Job, round_: int) -> None:
    """Compute the exact similarity of the round's pairs; the first similar kept one is the twin."""
    settings = job.settings.dedup.near
    tables = (PAIRS.at(round_), KEPT.at(round_))
    flow = Flow()
    shingles = flow.map(
        near.Shingles(unit=settings.unit, ngram=settings.ngram),
        flow.read("text", *tables, only=tables),
    )
    verified = flow.group(near.Verify(threshold=settings.threshold), sets=shingles["sets"])
    chosen = flow.group(near.Choose(), verified=verified["verified"])
    flow.write(NEAR.at(round_), chosen["near"])
    job.phase(f"near-{round_}-verify", flow)


def copies(job: Job, removed: tuple[Table, ...]) -> None:
    """Find every copied window in what is left."""


def conclude(job: Job, removed: tuple[Table, ...]) -> None:
    """Passages from copied windows, and one table of all removed documents with their twins."""
    flow = Flow()
    gone = []
    if removed:
        chain = flow.map(near.Chain(), flow.read(None, *removed))
        gone.append(flow.group(near.Resolve(), chain=chain["chain"])["duplicates"])
    if job.settings.dedup.passages.enabled:
        pass
    flow.write(DUPLICATES, *gone)
    job.phase("conclude", flow)
