"""The analysis that clean and gate share, as a list of phases: duplicates, personal data,
memorization.

Each function builds the flow of a phase or of a few that belong together. What a phase knows of
another is only the tables in corpus/schema.py.
"""

from unrote.corpus.errors import InputError, TooManyRejects
from unrote.corpus.schema import (
    BANDS,
    COPIES,
    DOCUMENTS,
    DUPLICATES,
    EXACT,
    FINGERPRINTS,
    FORGOTTEN,
    INDEX_ANCHORS,
    INDEX_TEXTS,
    INDEX_TWINS,
    INDEXED_NEAR,
    NEAR,
    PAIRS,
    READ_REJECTS,
    SPANS,
    UNCUT,
    UNDECIDED,
    VALUES,
    WITNESSES,
    Table,
)
from unrote.corpus.values import ListValues
from unrote.dedup import exact, near, repeats, spans
from unrote.dedup.candidates import CANDIDATES, CandidateDocuments, CandidatePairs, DistinctPairs
from unrote.dedup.index.layout import Index
from unrote.dedup.index.stages import (
    Forgotten,
    IndexedAnchorHits,
    IndexedAnchors,
    IndexedBands,
    IndexedFingerprints,
    IndexedSets,
    IndexedWindows,
    IndexReferences,
    IndexTexts,
    IndexTwins,
    NewAnchors,
)
from unrote.dedup.lsh_index import IndexSelection, RankedSets
from unrote.dedup.prefixes import (
    HOT_BUCKETS,
    HOT_DOCUMENTS,
    OTHER_BANDS,
    OVERFULL,
    PREFIXES,
    DocumentShingles,
    FrequentShingles,
    HotBuckets,
    HotDocuments,
    PrefixBuckets,
)
from unrote.dedup.repeats import AMBIGUOUS, AMBIGUOUS_COPIES
from unrote.dedup.selection import FINAL_DOCUMENTS, FinalSelection, UndecidedSets
from unrote.dedup.twins import ResolveTwins, TwinLinks
from unrote.pipelines.engines.base import Flow, Input, Output, Read
from unrote.pipelines.job import Phases
from unrote.pipelines.rejects import held_back, unite_rejects
from unrote.pipelines.verified_pairs import first_twins, verify


def analyse(job: Phases, *, allow_empty: bool = False) -> None:
    """Find duplicates, personal data, and the sequences that a model would memorize; commits the
    published tables.

    allow_empty: whether a corpus without a document is gone through like any other; otherwise it
    raises InputError, or TooManyRejects.
    """
    check_models(job)
    fingerprint(job)
    if not (allow_empty and not job.rows(DOCUMENTS)):
        refuse_too_many_rejects(job)
        refuse_empty(job)
    forgotten(job)
    removed: tuple[Table, ...] = ()
    if job.settings.dedup.exact.enabled:
        removed += exact_duplicates(job)
    if job.settings.dedup.near.enabled:
        removed += near_duplicates(job, removed)
    copied: tuple[Table, ...] = ()
    if job.settings.dedup.passages.enabled:
        copied = copies(job, removed)
    if removed or copied:
        conclude(job, removed, copied)
    if job.index is not None:
        for_the_index(job, job.index.index, removed)
    look_further(job)
    unite_rejects(job)


def look_further(job: Phases) -> None:
    """What is looked for besides duplicates. Each part is imported by jobs that have it: all of
    them take as long to import as deduplication itself.
    """
    if job.settings.contamination.sets:
        from unrote.pipelines.contamination import contamination  # noqa: PLC0415

        contamination(job)
    if job.settings.languages.enabled:
        from unrote.pipelines.languages import languages  # noqa: PLC0415

        languages(job)
    if job.settings.pii.enabled:
        from unrote.pipelines.personal_data import findings  # noqa: PLC0415

        findings(job)
    if job.settings.memorization.enabled:
        from unrote.pipelines.scoring import score  # noqa: PLC0415

        score(job)


def check_models(job: Phases) -> None:
    """Raise ConfigError or InputError for a model or calibration that cannot be used, before
    anything is run.
    """
    if job.settings.memorization.enabled:
        from unrote.pipelines.scoring import check_model  # noqa: PLC0415 - as `look_further` says

        check_model(job)
    if job.settings.finds_entities:
        _ = job.ner_model


def fingerprint(job: Phases) -> None:
    """Read every row once: documents, fingerprints, LSH buckets and rejects."""
    settings = job.settings.dedup
    flow = Flow()
    stage = exact.Fingerprint(
        normalise=settings.exact.normalise,
        near=settings.near.enabled and settings.near.method == "rounds",
        threshold=settings.near.threshold,
        unit=settings.near.unit,
        ngram=settings.near.ngram,
        permutations=settings.near.permutations,
        max_miss=settings.near.max_miss,
        keep=settings.near.keep,
        normalization=job.settings.input.normal_form,
    )
    rows = flow.read("records")
    out = flow.map(stage, rows)
    flow.write(DOCUMENTS, out["documents"])
    several = job.settings.fields.several
    if any(several):
        flow.write(VALUES, flow.map(ListValues(several), rows)[VALUES.name])
    flow.write(FINGERPRINTS, out["fingerprints"])
    flow.write(BANDS, out["bands"])
    flow.write(READ_REJECTS, out["rejects"])
    job.phase("fingerprint", flow)


def refuse_too_many_rejects(job: Phases) -> None:
    """Raise TooManyRejects, with the first reasons, where more rows are unreadable than allowed."""
    rejected = job.rows(READ_REJECTS)
    total = rejected + job.rows(DOCUMENTS)
    limit = job.settings.input.max_rejects
    if rejected <= limit * total:
        return
    shown = (
        f"  {r['shard']}, row {r['row']}: {r['reason']}" for r in job.first_rows(READ_REJECTS, 5)
    )
    raise TooManyRejects(
        f"{rejected:,} of {total:,} rows were rejected ({rejected / total:.2%}; input.max_rejects "
        f"allows {limit:.2%}). The first:",
        *shown,
        "Mend the input, or allow more with --set input.max_rejects=SHARE; then start over with "
        "--fresh.",
    )


def refuse_empty(job: Phases) -> None:
    """Raise InputError where there is no document: what is said of none of them says nothing."""
    if job.rows(DOCUMENTS):
        return
    rejected = job.rows(READ_REJECTS)
    why = f"all {rejected:,} rows were rejected" if rejected else "no file of it holds a row"
    raise InputError(
        f"the input has no document: {why}. Look at what wrote it, name another input, or mend it "
        "and start over with --fresh."
    )


def forgotten(job: Phases) -> None:
    """Reject documents that the index was told to forget and not to take again."""
    if job.index is None or not job.index.listed:
        return
    flow = Flow()
    stage = Forgotten(job.index.list_key, job.index.listed)
    found = flow.map(stage, flow.read(None, FINGERPRINTS, DOCUMENTS))
    flow.write(FORGOTTEN, found["forgotten"])
    job.phase("forgotten", flow)


def exact_duplicates(job: Phases) -> tuple[Table, ...]:
    """Of documents with the same normalised text, keep the first in keep order; of an index's and
    others the index's.
    """
    flow = Flow()
    own = flow.read(None, FINGERPRINTS, drop=held_back(job.settings))
    rows: tuple[Input, ...] = (own,)
    if job.index is not None:
        known = flow.group(IndexedFingerprints(job.index.index), fingerprints=own)
        rows += (known["indexed"],)
        flow.write(INDEXED_NEAR, known["near"])
    found = flow.group(exact.Exact(), fingerprints=rows)
    flow.write(EXACT, found["exact"])
    job.phase("exact", flow)
    return (EXACT,)


def near_duplicates(job: Phases, removed: tuple[Table, ...]) -> tuple[Table, ...]:
    """Keep the first maximal set of documents of which no two are similar."""
    if job.index is not None:
        return near_duplicates_of_index(job, job.index.index, removed)
    if job.settings.dedup.near.method == "rounds":
        return near_duplicates_by_rounds(job, removed)
    return near_duplicates_by_datasketch(job, removed)


def near_duplicates_by_datasketch(job: Phases, removed: tuple[Table, ...]) -> tuple[Table, ...]:
    """One index of datasketch over the kept documents, in one worker."""
    settings = job.settings.dedup.near
    flow = Flow()
    sets = flow.map(
        RankedSets(settings.unit, settings.ngram, settings.keep, job.settings.input.normal_form),
        flow.read("records", drop=removed),
    )
    stage = IndexSelection(
        threshold=settings.threshold,
        permutations=settings.permutations,
        max_miss=settings.max_miss,
    )
    selected = flow.group(stage, sets=sets["sets"])
    flow.write(NEAR, selected["near"])
    job.phase("datasketch", flow)
    return (NEAR,)


def near_duplicates_of_index(
    job: Phases, index: Index, removed: tuple[Table, ...]
) -> tuple[Table, ...]:
    """Near-duplicates of what an index holds, and of each other.

    A document is removed if it is similar to one that was kept before it and shares a bucket with
    it; the first of those is its twin. So what becomes of it depends on earlier documents alone,
    which of hot buckets that are taken apart is not so. Few candidates are selected from by one
    worker, more by rounds, whose twins are looked for once more: there they depend on the widths.
    """
    flow = Flow()
    own = flow.read(None, BANDS, drop=(*removed, *held_back(job.settings)))
    known = flow.group(IndexedBands(index), bands=own)
    pairs(job, (own, known["indexed"]), 1, flow)
    if job.rows(CANDIDATES.at(1)) <= FINAL_DOCUMENTS:
        select(job, 1, NEAR, index)
        return (NEAR,)
    found: tuple[Table, ...] = ()
    round_ = 1
    while job.rows(PAIRS.at(round_)):
        near_, kept = verify(job, round_, index)
        found += near_
        if round_ > near.ROUNDS:
            break
        source = Flow().read(None, UNDECIDED.at(round_), drop=(*near_, *kept))
        round_ += 1
        pairs(job, (source,), round_)
    return first_twins(job, found, index)


def near_duplicates_by_rounds(job: Phases, removed: tuple[Table, ...]) -> tuple[Table, ...]:
    """The same by rounds (dedup.near).

    A round pairs the first members of each bucket with the others in it, verifies the pairs, and
    selects greedily in keep order as far as they decide. They end when few documents remain, which
    one worker decides, when no bucket holds two undecided documents, or with the round that decides
    all. Buckets that are still hot after the first round are taken apart.
    """
    source: tuple[Read, ...] = (Flow().read(None, BANDS, drop=removed),)
    tables: tuple[Table, ...] = ()
    round_ = 1
    while True:
        pairs(job, source, round_)
        if not job.rows(PAIRS.at(round_)):
            return tables
        overfull = round_ == 1 and job.rows(OVERFULL.at(1)) > 0
        if job.rows(CANDIDATES.at(round_)) <= FINAL_DOCUMENTS and not overfull:
            select(job, round_, NEAR.at(round_))
            return (*tables, NEAR.at(round_))
        found, kept = verify(job, round_)
        tables += found
        if round_ > near.ROUNDS:
            return tables
        source = (Flow().read(None, UNDECIDED.at(round_), drop=(*found, *kept)),)
        if overfull:
            source = take_apart(job, source)
        round_ += 1


def take_apart(job: Phases, source: tuple[Read, ...]) -> tuple[Read, ...]:
    """The same rows, with buckets of rare shingles in the place of hot ones."""
    settings = job.settings.dedup.near
    flow = Flow()
    found = flow.group(HotBuckets(), bands=source)
    documents = flow.group(HotDocuments(), members=found["members"])
    flow.write(HOT_BUCKETS, found["buckets"])
    flow.write(HOT_DOCUMENTS, documents["documents"])
    flow.write(OTHER_BANDS, found["others"])
    job.phase("near-hot-buckets", flow)
    if not job.rows(HOT_BUCKETS):
        return source
    flow = Flow()
    shingles = flow.map(
        DocumentShingles(settings.unit, settings.ngram, job.settings.input.normal_form),
        flow.read("text", HOT_DOCUMENTS, only=(HOT_DOCUMENTS,)),
    )
    shared = flow.group(FrequentShingles(), shingles=shingles["shingles"])
    prefixes = flow.group(PrefixBuckets(threshold=settings.threshold), shared=shared["shared"])
    flow.write(PREFIXES, prefixes["prefixes"])
    job.phase("near-prefixes", flow)
    return Flow().read(None, OTHER_BANDS), Flow().read(None, PREFIXES)


def pairs(job: Phases, source: tuple[Input, ...], round_: int, flow: Flow | None = None) -> None:
    """Pair the members of each bucket with the first ones in it. flow: in which `source` is."""
    width = near.width_of(round_ - 1)
    flow = flow or Flow()
    paired = flow.group(CandidatePairs(width), bands=source)
    documents = flow.group(CandidateDocuments(), members=paired["members"])
    distinct = flow.group(DistinctPairs(), pairs=paired["pairs"])
    flow.write(CANDIDATES.at(round_), documents["candidates"])
    flow.write(UNDECIDED.at(round_), documents["undecided"])
    if round_ == 1:
        flow.write(OVERFULL.at(round_), paired["overfull"])
    flow.write(PAIRS.at(round_), distinct["pairs"])
    job.phase(f"near-{round_}-pairs", flow)


def select(job: Phases, round_: int, near_: Table, index: Index | None = None) -> None:
    """Select among the documents that are still undecided, in one worker; writes `near_`."""
    settings, form = job.settings.dedup.near, job.settings.input.normal_form
    undecided = UNDECIDED.at(round_)
    flow = Flow()
    sets: tuple[Output, ...] = (
        flow.map(
            UndecidedSets(settings.unit, settings.ngram, form),
            flow.read("text", undecided, only=(undecided,)),
        )["sets"],
    )
    if index is not None:
        stage = IndexedSets(index, settings.unit, settings.ngram, form)
        sets += (flow.group(stage, undecided=flow.read(None, undecided))["sets"],)
    selected = flow.group(FinalSelection(threshold=settings.threshold), sets=sets)
    flow.write(near_, selected["near"])
    job.phase(f"near-{round_}-select", flow)


def copies(job: Phases, removed: tuple[Table, ...]) -> tuple[Table, ...]:
    """Every window of the remaining documents that occurs earlier, with its first occurrence."""
    settings = job.settings.dedup.passages
    if settings.method == "anchors":
        return copies_by_anchors(job, removed, settings.min_bytes)
    return copies_by_suffix_array(job, removed, settings.min_bytes)


def copies_by_anchors(job: Phases, removed: tuple[Table, ...], min_bytes: int) -> tuple[Table, ...]:
    """Copies by anchors; windows of ambiguous ones are compared one by one."""
    flow = Flow()
    source = flow.read("text", drop=(*removed, *held_back(job.settings)))
    form = job.settings.input.normal_form
    found = flow.map(repeats.Anchors(min_bytes, form), source)
    anchors: tuple[Output, ...] = (found["anchors"],)
    altered: tuple[Output, ...] = (found["witnesses"],)
    if job.index is not None:
        hits = flow.group(IndexedAnchorHits(job.index.index), anchors=anchors)
        known = flow.group(IndexedAnchors(job.index.index, min_bytes, form), hits=hits["hits"])
        anchors += (known["anchors"],)
        altered += (known["witnesses"],)
        flow.write(INDEX_ANCHORS, flow.group(NewAnchors(), anchors=anchors)["new"])
    plain = flow.group(repeats.Repeats(min_bytes=min_bytes), anchors=anchors)
    hot = flow.group(repeats.HotKeys(min_bytes=min_bytes), hot=plain["hot"])
    flow.write(WITNESSES, *altered)
    flow.write(COPIES, plain["copies"], hot["copies"])
    flow.write(AMBIGUOUS, plain["ambiguous"], hot["ambiguous"])
    job.phase("anchors", flow)

    flow = Flow()
    source = flow.read("text", AMBIGUOUS, only=(AMBIGUOUS,))
    windows: tuple[Output, ...] = (flow.map(repeats.Windows(min_bytes, form), source)["windows"],)
    if job.index is not None:
        stage = IndexedWindows(job.index.index, min_bytes, form)
        windows += (flow.group(stage, ambiguous=flow.read(None, AMBIGUOUS))["windows"],)
    compared = flow.group(repeats.CompareWindows(min_bytes=min_bytes), windows=windows)
    flow.write(AMBIGUOUS_COPIES, compared["copies"])
    job.phase("windows", flow)
    return COPIES, AMBIGUOUS_COPIES


def copies_by_suffix_array(
    job: Phases, removed: tuple[Table, ...], min_bytes: int
) -> tuple[Table, ...]:
    """One suffix array over all remaining text, in one worker."""
    flow = Flow()
    stage = spans.Everything(job.settings.input.normal_form)
    everything = flow.map(stage, flow.read("text", drop=removed))
    flow.write(WITNESSES, everything["witnesses"])
    found = flow.group(spans.SuffixArray(min_bytes=min_bytes), everything=everything["everything"])
    flow.write(COPIES, found["copies"])
    job.phase("suffix-array", flow)
    return (COPIES,)


def conclude(job: Phases, removed: tuple[Table, ...], copied: tuple[Table, ...]) -> None:
    """Passages from copied windows, and one table of all removed documents with their twins."""
    settings = job.settings.dedup.passages
    flow = Flow()
    removals = []
    if removed:
        indexed = () if job.index is None else (INDEXED_NEAR,)
        links = flow.map(TwinLinks(), flow.read(None, *removed, *indexed))
        removals.append(flow.group(ResolveTwins(), links=links["links"])["duplicates"])
    if copied:
        aligned = job.rows(WITNESSES) > 0
        stage = spans.Spans(
            min_bytes=settings.min_bytes,
            boundary=settings.boundary,
            min_words=settings.min_words,
            min_remaining=settings.min_remaining,
            action="cut" if job.settings.cuts_passages else "report",
            causal=job.index is not None,
            normalization=job.settings.input.normal_form,
            aligned=aligned,
        )
        found = flow.map(stage, flow.read("text", *copied, only=copied))
        passages = found
        claims: tuple[Output, ...] = (found["claims"],)
        if aligned:
            ranges = spans.WitnessRanges(stage.claims_witnesses)
            witnesses = (flow.read(None, WITNESSES), found["witnesses"])
            passages = flow.group(ranges, witnesses=witnesses)
            claims += (passages["claims"],)
        flow.write(SPANS, passages["spans"])
        flow.write(UNCUT, passages["uncut"])
        removals.append(flow.group(spans.Remainder(), claims=claims)["remainder"])
    flow.write(DUPLICATES, *removals)
    job.phase("conclude", flow)


def for_the_index(job: Phases, index: Index, removed: tuple[Table, ...]) -> None:
    """Which documents of the index are twins and witnesses, and the texts that it is to have: of
    all documents that are no copies, remainders too, since a window may occur there first.
    """
    assert job.index is not None
    settings = job.settings.dedup
    tables: tuple[Table, ...] = (DUPLICATES,)
    if settings.passages.enabled:
        tables += (SPANS, UNCUT)
    flow = Flow()
    references = IndexReferences(tuple(table.name for table in tables))
    named = flow.map(references, flow.read(None, *tables))
    runs = tuple(one.first for one in job.index.runs)
    twins = flow.group(IndexTwins(index, runs), named=named["named"])
    flow.write(INDEX_TWINS, twins["twins"])
    job.phase("index-twins", flow)
    if not (settings.near.enabled or settings.passages.enabled):
        return
    flow = Flow()
    source = flow.read("text", DOCUMENTS, drop=(*removed, *held_back(job.settings)))
    texts = flow.map(IndexTexts(settings.passages.enabled), source)
    flow.write(INDEX_TEXTS, texts["texts"])
    job.phase("index-texts", flow)
