"""The papers that a release needs, from what a finished run measured.

A dataset card (README.md) as the Hugging Face Hub reads it, Croissant metadata with the vocabulary
for responsible AI, and the public summary of training content after Art. 53(1)(d) of the EU AI Act,
in the order of the Commission's template (C(2025) 8311). What no program can know is marked as a
gap, and can be answered in a TOML file.
"""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from unrote.corpus import display
from unrote.corpus.errors import ConfigError, OutputError, UsageError
from unrote.corpus.languages import UNKNOWN
from unrote.corpus.read import read_cut
from unrote.corpus.rows import Fields
from unrote.corpus.schema import DUPLICATES, REJECTS
from unrote.corpus.storage import chunks, is_remote, open_stored, storage
from unrote.corpus.version import VERSION
from unrote.pipelines.config import read_toml
from unrote.pipelines.finished import FinishedRun, open_run
from unrote.pipelines.report.formatting import count, counted, share, size
from unrote.pipelines.report.model import Report
from unrote.pipelines.storage import LocalPath, write_atomically

QUESTIONS: Mapping[str, str] = {
    "name": "the data set's name",
    "license": "its licence, as an identifier of the Hub or an SPDX one",
    "languages": "its languages, as a list of ISO 639-1 codes",
    "url": "where it is published",
    "creators": "who made it, as a list",
    "description": "what it is for, in a few sentences",
    "collection": "how the text was collected, by whom, and from when to when",
    "biases": "which groups, views or kinds of text are over- or under-represented",
    "limitations": "what it must not be used for",
    "maintenance": "who answers for it, how errors are reported, and when versions come",
    "provider": "name and contact of the model's provider, and of its representative in the Union",
    "model": "the model's versioned name, what it was made of, and its date on the Union market",
    "tokens": "the size of all training data by modality, in the template's ranges",
    "content_types": "the types of content: fiction, scientific text, press, user posts, …",
    "latest_acquisition": "the date (month and year) of the latest acquisition of data",
    "public_datasets": "large public data sets that were used, with links; a description of others",
    "licensed": "whether licences were concluded with rightsholders, and for which modalities",
    "third_party": "data sets obtained from other third parties",
    "crawlers": "names and behaviour of crawlers, the period, and what was collected",
    "user_data": "whether data of users was used, of which services",
    "synthetic": "whether synthetic data was made for training, and with which models",
    "other_sources": "other sources: offline, self-digitised, commissioned",
    "reservations": "how reservations under Art. 4(3) of Directive (EU) 2019/790 are respected",
    "illegal_content": "what is done about illegal content",
}
"""What a person has to say, by the key that a file of answers gives."""

MEASURED = "measured by unrote, from what deduplication leaves; nobody has confirmed it"

LEAST_LANGUAGE = 0.01
"""Share of the letters from which a language is named where nobody said which there are."""

SIZES = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")
"""Bounds of the Hub's size_categories."""

DOMAINS_SHOWN = 1000
FILES_SHOWN = 1000
"""Shards that Croissant metadata lists."""

RAI = "http://mlcommons.org/croissant/RAI/1.0"
CROISSANT = "http://mlcommons.org/croissant/1.0"


@dataclass
class Answers:
    """What a person said, and what nobody did."""

    given: Mapping[str, Any]
    measured: Mapping[str, Any] = field(default_factory=dict)
    """What the run measured, for questions that nobody answered."""
    gaps: dict[str, str] = field(default_factory=dict)

    def get(self, key: str) -> str:
        """The answer, or a mark where one is missing."""
        value = self.given.get(key)
        if not value and self.measured.get(key):
            return f"{', '.join(self.measured[key])} ({MEASURED})"
        if value in (None, "", []):
            self.gaps[key] = QUESTIONS[key]
            return f"**[to be filled in: {QUESTIONS[key]} (`{key}`)]**"
        return ", ".join(map(str, value)) if isinstance(value, list) else str(value)

    def listed(self, key: str) -> list[str]:
        """The same as a list, empty where it is missing."""
        value = self.given.get(key) or self.measured.get(key)
        self.get(key)
        return (
            [str(one) for one in value] if isinstance(value, list) else [str(value)] * bool(value)
        )


@dataclass(frozen=True)
class Facts:
    """What a run measured, as the papers need it."""

    run: FinishedRun
    report: Report
    files: tuple[tuple[str, int, str], ...]
    """Path below OUT, bytes and SHA-256 of the released files."""
    domains: tuple[tuple[str, int], ...]
    """Bytes of text by domain, the largest first."""


@dataclass(frozen=True)
class Card:
    """What was written, and what is left for a person."""

    files: tuple[LocalPath, ...]
    gaps: Mapping[str, str]


def card(
    out: str | os.PathLike[str],
    folder: str | os.PathLike[str] | None = None,
    *,
    answers: str | os.PathLike[str] | None = None,
    url_field: str = "",
) -> Card:
    """Write the papers of the finished run in `out` to `folder` (None: OUT-card, beside it).

    answers: a TOML file with what a person says, by the keys of QUESTIONS. url_field: the field of
    a row with its URL, for the list of domains. Raises ConfigError for an unknown key, UsageError
    for an OUT in a store without `folder`, OutputError for a run that released nothing.
    """
    given: Mapping[str, Any] = {} if answers is None else read_toml(answers)
    if unknown := sorted(set(given) - set(QUESTIONS)):
        raise ConfigError(
            f"{answers} answers {', '.join(unknown)}, which nobody asks. Questions are "
            f"{', '.join(QUESTIONS)}."
        )
    if folder is None and is_remote(out):
        raise UsageError(f"{out} lies in a store. Name a folder here for the papers, with --to.")
    run = open_run(out)
    if run.report.output is None:
        raise OutputError(
            f"the {run.report.job} in {out} released no data, so there is nothing to describe. "
            "Name the folder of `unrote clean`."
        )
    said = Answers(given, {"languages": _told(run.report)})
    domains = tuple(_domains(run, url_field)) if url_field else ()
    facts = Facts(run, run.report, tuple(_files(run)), domains)
    target = Path(folder) if folder is not None else Path(f"{os.fspath(out).rstrip('/')}-card")
    papers: Mapping[str, Callable[[Facts, Answers], str]] = {
        "README.md": dataset_card, "croissant.json": croissant,
        "training-content-summary.md": training_summary,
    }  # fmt: skip
    written = []
    for name, make in papers.items():
        write_atomically(target / name, make(facts, said).encode())
        written.append(target / name)
    if domains:
        lines = "".join(f"{domain},{number}\n" for domain, number in domains)
        write_atomically(target / "domains.csv", f"domain,bytes\n{lines}".encode())
        written.append(target / "domains.csv")
    return Card(tuple(written), said.gaps)


def _told(report: Report) -> list[str]:
    """The languages that the run found, those with the most letters first."""
    rows = () if report.languages is None else report.languages.total("languages")
    letters = sum(row.letters for row in rows)
    return [
        row.name
        for row in rows
        if row.name not in (None, UNKNOWN) and row.letters >= LEAST_LANGUAGE * letters
    ]


def _files(run: FinishedRun) -> Iterator[tuple[str, int, str]]:
    for entry in run.manifest["data"]:
        path, digest = run.out / entry["path"], hashlib.sha256()
        with storage(path, "read"), open_stored(path) as file:
            for chunk in chunks(file, entry["bytes"]):
                digest.update(chunk)
        yield entry["path"], entry["bytes"], digest.hexdigest()


def _domains(run: FinishedRun, url_field: str) -> list[tuple[str, int]]:
    """Bytes of text by the host of its URL, of the documents that were kept."""
    gone = {
        doc
        for table in (DUPLICATES, REJECTS)
        if table.name in run.tables
        for doc in run.table(table.name)["doc"].to_pylist()
    }
    fields = Fields(text=run.settings.input.paths, source=url_field)
    found: Counter[str] = Counter()
    for cut in (cut for part in run.corpus.slices for cut in part.cuts):
        for tag, batch in read_cut(run.corpus, cut, fields, "records"):
            if tag == "text":
                for row in batch.to_pylist():
                    if row["doc"] not in gone:
                        found[host(row["source"])] += len(row["text"].encode())
    named = {name for name in found if name}
    if not named:
        raise ConfigError(
            f"no row has a URL in the field {url_field!r}. Name the field that has it."
        )
    return sorted(found.items(), key=lambda one: (-one[1], one[0]))


def host(url: str | None) -> str:
    """The host of a URL, without www. and port; "" where there is none."""
    try:
        name = urlsplit(url or "").hostname or ""
    except ValueError:
        return ""
    return re.sub(r"^www\.", "", name)


def size_category(documents: int) -> str:
    """The Hub's size category of so many rows."""
    bounds = [1000 * 10**power for power in range(len(SIZES))]
    at = sum(documents >= bound for bound in bounds)
    if at == 0:
        return f"n<{SIZES[0]}"
    if at == len(SIZES):
        return f"n>{SIZES[-1]}"
    return f"{SIZES[at - 1]}<n<{SIZES[at]}"


def dataset_card(facts: Facts, said: Answers) -> str:
    """README.md with the head that the Hub reads."""
    report, total = facts.report, facts.report.total
    head: dict[str, Any] = {
        "pretty_name": str(said.given.get("name") or "unnamed"),
        "license": str(said.given.get("license") or "unknown"),
        "language": said.listed("languages"),
        "size_categories": [size_category(total.kept.documents)],
        "task_categories": ["text-generation"],
        "tags": ["unrote", "deduplicated"] + ["scrubbed"] * bool(report.findings),
    }
    sections = {
        "Dataset description": [said.get("description"), f"- Licence: {said.get('license')}",
                                f"- Languages: {said.get('languages')}",
                                f"- Published at: {said.get('url')}",
                                f"- Made by: {said.get('creators')}"],
        "Source data": [said.get("collection"), *_sources(report)],
        "What was removed, and why": _removed(report),
        "Personal and sensitive information": _personal(report),
        "Memorization": _risk(report),
        "Contamination with evaluation sets": _contamination(report),
        "Biases and limitations": [said.get("biases"), said.get("limitations")],
        "Maintenance": [said.get("maintenance")],
        "How to check this": [
            f"Made by unrote {VERSION} (`{report.job}`), fingerprint `{report.fingerprint}`, "
            f"{report.finished[:10]}. `unrote verify OUT` holds every number here to input and "
            "result.",
        ],
    }  # fmt: skip
    body = "".join(f"\n## {name}\n\n" + "\n".join(lines) + "\n" for name, lines in sections.items())
    return f"---\n{_yaml(head)}---\n\n# {said.get('name')}\n{body}"


def _yaml(head: Mapping[str, Any]) -> str:
    """JSON is YAML: each value as such, so that nothing in it needs quoting rules."""
    return "".join(f"{key}: {orjson.dumps(value).decode()}\n" for key, value in head.items())


def _sources(report: Report) -> list[str]:
    rows = [
        f"| {_cell(row.source or '(no name)')} | {count(row.documents)} | {size(row.bytes)} | "
        f"{count(row.kept.documents)} | {size(row.kept.bytes)} |"
        for row in report.by_source[:50]
    ]
    more = report.input.sources - len(rows)
    return [
        "",
        "| source | documents read | text read | documents kept | text kept |",
        "|---|--:|--:|--:|--:|",
        *rows,
        *([f"\nand {counted(more, 'more source')}."] if more > 0 else []),
    ]


REMOVALS = {
    "exact": "exact duplicates",
    "near": "near-duplicates",
    "remainder": "nothing left but duplicate passages",
    "passages": "duplicate passages in documents that stay",
    "rejected": "rejected by a detector, or by what it holds",
    "at_risk": "at risk of memorization",
    "contaminated": "shared with an evaluation set",
}


def _removed(report: Report) -> list[str]:
    total = report.total
    rows = [
        f"| {why} | {count(part.documents)} | {size(part.bytes)} | {share(part.share)} |"
        for name, why in REMOVALS.items()
        if (part := getattr(total, name)).documents and (name != "passages" or report.cut)
    ]
    kept = total.kept
    lines = [
        f"Of {counted(total.documents, 'document')} with {size(total.bytes)} of text "
        f"{count(kept.documents)} with {size(kept.bytes)} were kept.",
        "",
        "| removed | documents | text | share of the text |",
        "|---|--:|--:|--:|",
        *(rows or ["| nothing | 0 | 0 | 0 % |"]),
    ]
    if report.rejects.rows:
        lines.append(
            f"\n{counted(report.rejects.rows, 'row')} could not be read, or were rejected."
        )
    return lines


def _personal(report: Report) -> list[str]:
    if report.findings is None:
        return ["Personal data was not looked for."]
    found = report.findings
    if not found.total:
        return ["Personal data and secrets were looked for; nothing was found."]
    rows = [
        f"| {_cell(row.type)} | {count(row.findings)} | {count(row.documents)} | "
        f"{count(row.changed)} |"
        for row in found.types
    ]
    return [
        f"{counted(found.total, 'finding')} of detectors, of which {count(found.changed)} were "
        "replaced or removed. A detector misses some and takes some for others.",
        "",
        "| type | findings | documents | changed |",
        "|---|--:|--:|--:|",
        *rows,
    ]


def _risk(report: Report) -> list[str]:
    found = report.memorization
    if found is None:
        return ["The risk that a model memorizes parts of it was not scored."]
    return [
        f"{found.finding[0].upper()}{found.finding[1:]}.",
        *(f"{note}" for note in report.notes if "Risks are for" in note),
    ]


def _contamination(report: Report) -> list[str]:
    if report.contamination is None:
        return ["No evaluation set was looked for."]
    return [
        f"By the rule {report.contamination.rule}, in what deduplication leaves; then "
        f"{report.contamination.action}.",
        "",
        "| evaluation set | items | contaminated |",
        "|---|--:|--:|",
        *(
            f"| {_cell(one.set)} | {count(one.items)} | {count(one.contaminated)} |"
            for one in report.contamination.sets
        ),
    ]


def _cell(text: str) -> str:
    return re.sub(r"([\\|`*_<>\[\]])", r"\\\1", display.name(text))


FORMATS = {
    ".jsonl": "application/jsonlines", ".json": "application/json", ".csv": "text/csv",
    ".parquet": "application/x-parquet", ".txt": "text/plain", ".md": "text/markdown",
    ".gz": "application/gzip", ".zst": "application/zstd", ".tsv": "text/tab-separated-values",
}  # fmt: skip


def croissant(facts: Facts, said: Answers) -> str:
    """Croissant 1.0 metadata with RAI fields: JSON-LD, as mlcroissant validates it."""
    report = facts.report
    files = facts.files[:FILES_SHOWN]
    objects = [
        {
            "@type": "cr:FileObject", "@id": f"file-{number}", "name": path,
            "contentUrl": path, "contentSize": f"{bytes_} B", "sha256": digest,
            "encodingFormat": FORMATS.get(Path(path).suffix, "application/octet-stream"),
        }
        for number, (path, bytes_, digest) in enumerate(files)
    ]  # fmt: skip
    finished = report.finished[:10] or datetime.now(UTC).date().isoformat()
    tree = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": str(said.given.get("name") or "unnamed"),
        "description": _plain(said.get("description")),
        "conformsTo": [CROISSANT, RAI],
        "license": str(said.given.get("license") or "unknown"),
        "url": _plain(said.get("url")),
        "version": "1.0.0",
        "datePublished": finished,
        "inLanguage": said.listed("languages"),
        "creator": [{"@type": "sc:Organization", "name": one} for one in said.listed("creators")],
        "distribution": objects,
        "recordSet": [*_records(facts, len(files))],
        "rai:dataCollection": _plain(said.get("collection")),
        "rai:dataPreprocessingProtocol": [_text(_removed(report))],
        "rai:dataManipulationProtocol": _text(_contamination(report)),
        "rai:personalSensitiveInformation": [_text(_personal(report))],
        "rai:dataBiases": [_plain(said.get("biases"))],
        "rai:dataLimitations": [_plain(said.get("limitations")), _text(_risk(report))],
        "rai:dataReleaseMaintenancePlan": _plain(said.get("maintenance")),
    }
    if not tree["creator"]:
        del tree["creator"]
    return orjson.dumps(tree, option=orjson.OPT_INDENT_2).decode() + "\n"


def _records(facts: Facts, shown: int) -> Iterator[dict[str, Any]]:
    """A record set for each shard of rows whose text is one field of them."""
    text = facts.run.settings.input.text
    if not isinstance(text, str) or re.search(r"[.\[\\]", text):
        return
    for number, (path, _, _) in enumerate(facts.files[:shown]):
        if Path(path).suffix in {".jsonl", ".csv", ".parquet"}:
            source = {"fileObject": {"@id": f"file-{number}"}, "extract": {"column": text}}
            field_ = {
                "@type": "cr:Field", "@id": f"documents-{number}/text", "dataType": "sc:Text",
                "description": "The text of a document.", "source": source,
            }  # fmt: skip
            yield {
                "@type": "cr:RecordSet", "@id": f"documents-{number}", "field": [field_],
                "description": f"The documents of {path}.",
            }  # fmt: skip


def _plain(text: str) -> str:
    return text.replace("**", "").replace("`", "")


def _text(lines: Sequence[str]) -> str:
    return _plain("\n".join(lines))


CONTEXT: Mapping[str, Any] = {
    "@language": "en", "@vocab": "https://schema.org/", "citeAs": "cr:citeAs",
    "column": "cr:column", "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/", "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"}, "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"}, "extract": "cr:extract",
    "field": "cr:field", "fileProperty": "cr:fileProperty", "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet", "format": "cr:format", "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset", "jsonPath": "cr:jsonPath", "key": "cr:key",
    "md5": "cr:md5", "parentField": "cr:parentField", "path": "cr:path",
    "recordSet": "cr:recordSet", "references": "cr:references", "regex": "cr:regex",
    "repeated": "cr:repeated", "replace": "cr:replace", "sc": "https://schema.org/",
    "separator": "cr:separator", "source": "cr:source", "subField": "cr:subField",
    "transform": "cr:transform",
}  # fmt: skip
"""As the specification recommends."""


def training_summary(facts: Facts, said: Answers) -> str:
    """The public summary of training content, in the order of the Commission's template."""
    report = facts.report
    kept = report.total.kept
    parts = {
        "1. General information": {
            "1.1 Provider identification": [said.get("provider")],
            "1.2 Model identification": [said.get("model")],
            "1.3 Modalities, overall training data size and other characteristics": [
                f"Modality: text. This corpus: {counted(kept.documents, 'document')}, "
                f"{size(kept.bytes)} of text, {counted(report.total.words_kept, 'word')}.",
                f"Size of all training data: {said.get('tokens')}",
                f"Types of content: {said.get('content_types')}",
                f"Latest date of data acquisition: {said.get('latest_acquisition')}",
                f"Linguistic characteristics: {said.get('languages')}",
            ],
        },
        "2. List of data sources": {
            "2.1 Publicly available datasets": [said.get("public_datasets")],
            "2.2 Private non-publicly available datasets obtained from third parties": [
                f"Licensed from rightsholders: {said.get('licensed')}",
                f"From other third parties: {said.get('third_party')}",
            ],
            "2.3 Data crawled and scraped from online sources": [
                said.get("crawlers"), *_domain_lines(facts),
            ],
            "2.4 User data": [said.get("user_data")],
            "2.5 Synthetic data": [said.get("synthetic")],
            "2.6 Other sources of data": [said.get("other_sources"), *_sources(report)],
        },
        "3. Data processing aspects": {
            "3.1 Respect of reservation of rights from text and data mining": [
                said.get("reservations")
            ],
            "3.2 Removal of illegal content": [said.get("illegal_content")],
            "3.3 Other information": [
                *_removed(report), "", *_personal(report), "", *_risk(report),
            ],
        },
    }  # fmt: skip
    head = [
        "# Public summary of training content",
        "",
        "After Art. 53(1)(d) of Regulation (EU) 2024/1689, in the Commission's template "
        "(C(2025) 8311). It speaks of one corpus; a summary covers all data of a model, from "
        "pre-training to fine-tuning.",
        "",
        f"Numbers: unrote {VERSION}, fingerprint {report.fingerprint}, {report.finished[:10]}.",
    ]
    for part, sections in parts.items():
        head += ["", f"## {part}"]
        for section, lines in sections.items():
            head += ["", f"### {section}", "", *lines]
    return "\n".join(head) + "\n"


def _domain_lines(facts: Facts) -> list[str]:
    """The top ten percent of the domains by size of content, as the template asks."""
    named = [one for one in facts.domains if one[0]]
    if not named:
        return ["Domain names were not looked for (`--urls FIELD` names the field with URLs)."]
    top = named[: max(1, -(-len(named) // 10))]
    lost = sum(number for name, number in facts.domains if not name)
    lines = [
        f"The largest {count(len(top))} of {counted(len(named), 'domain')} by size of text (ten "
        "percent); all are in domains.csv.",
        "",
        *(f"- {_cell(name)}: {size(number)}" for name, number in top[:DOMAINS_SHOWN]),
    ]
    if len(top) > DOMAINS_SHOWN:
        lines.append(f"- and {count(len(top) - DOMAINS_SHOWN)} more, in domains.csv")
    if lost:
        lines.append(f"\n{size(lost)} of text had no URL.")
    return lines
