"""Every setting, in one place: one TOML file, `--set` on top, validated before anything is read.

Unknown keys are errors with the nearest known key. `unrote init` writes this file's content as a
commented TOML, so a field's description is what a user reads.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from unrote.corpus.errors import ConfigError
from unrote.corpus.normalization import Normalization
from unrote.corpus.paths import parse_path, selection
from unrote.corpus.rows import Fields
from unrote.dedup.keep import KeepPolicy
from unrote.memorization.config import Config as MemorizationConfig
from unrote.memorization.config import Models
from unrote.memorization.proxy_risk import ProxyRisk
from unrote.memorization.risk import Forecast, Risk
from unrote.memorization.target import Target, size_of
from unrote.pii.catalogue import KNOWN_TYPES, check_entity
from unrote.pii.config import (
    ACTIONS,
    ACTIONS_BY_DEFAULT,
    ALLOW_BY_DEFAULT,
    DEFAULT,
    SECRET,
    Action,
    Config,
    Pattern,
    actions_for,
)
from unrote.pii.findings import MARKER_TYPES
from unrote.pii.keys import KEY_VARIABLE

if TYPE_CHECKING:
    from unrote.pii.secret_rules import Rule


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _check_paths(written: str | Sequence[str]) -> None:
    try:
        selection(written if isinstance(written, str) else tuple(written))
    except ConfigError as error:  # no ValueError, so pydantic would let it through
        raise ValueError(str(error)) from None


class TextPaths(Section):
    """Where the text of a row lies: a path, or a list of them."""

    text: str | list[str]

    @field_validator("text")
    @classmethod
    def _is_path(cls, value: str | list[str]) -> str | list[str]:
        _check_paths(value)
        return value

    @property
    def paths(self) -> str | tuple[str, ...]:
        """`text` as corpus.rows.Fields has it."""
        return self.text if isinstance(self.text, str) else tuple(self.text)


class InputSettings(TextPaths):
    """What is read."""

    text: str | list[str] = Field(
        "text",
        description="Field or column that holds the text; or a path to it, such as data.text or "
        "messages[].content; or a list of these. Several values of a row are one document, with a "
        "line break between two, and each is written back to its place.",
    )
    id: str = Field(
        "id", description="Field that holds the id. Where it is missing one is derived."
    )
    source: str = Field(
        "", description="Field that names a document's source; empty: the folder of its shard."
    )
    max_rejects: float = Field(
        0.001, ge=0, le=1, description="Share of unreadable rows above which the run stops."
    )
    max_document: str = Field(
        "64MiB",
        description="Longest document, as it is stored but for compression; longer ones are "
        "rejected, without being held in memory. At most 1GiB.",
    )
    max_expansion: int = Field(
        200,
        ge=1,
        description="How many times its stored size a file may have without its compression; the "
        "run stops at one that becomes larger, and larger than 64 MiB.",
    )
    normalization: Literal["nfc", "nfkc", "none"] = Field(
        "nfc",
        description="The Unicode form in which documents are compared and searched for personal "
        "data. nfc: an accent as part of its letter or behind it is the same; nfkc: full-width "
        "letters and ligatures too. What is released stays in the form it came in.",
    )
    drop_ignorable: bool = Field(
        False,
        description="Do so without soft hyphens, zero-width characters, byte order marks "
        "(Unicode's default ignorable code points).",
    )
    unescape_html: bool = Field(
        False, description="Do so with HTML's character references (&amp;) resolved."
    )

    @property
    def max_document_bytes(self) -> int:
        """`max_document` in bytes."""
        return _size(self.max_document)

    @field_validator("max_document")
    @classmethod
    def _document_size(cls, value: str) -> str:
        _check_size(value)
        if not 1 <= _size(value) <= 1 << 30:
            raise ValueError("must be between 1 (byte) and 1GiB")
        return value

    @property
    def normal_form(self) -> Normalization:
        """What does not count as a difference between texts."""
        return Normalization(self.normalization, self.drop_ignorable, self.unescape_html)


class ExactSettings(Section):
    """Duplicate documents: the same text."""

    enabled: bool = Field(True, description="Remove documents whose normalised text is the same.")
    normalise: Literal["none", "whitespace", "case"] = Field(
        "whitespace",
        description="What does not count as a difference: nothing; runs of white space "
        "(but a line break before `*`, `/` or `%` by itself); white space and letter case.",
    )


class NearSettings(Section):
    """Near-duplicate documents: n-gram sets with a Jaccard similarity at or above the threshold."""

    enabled: bool = Field(True, description="Remove near-duplicate documents.")
    method: Literal["rounds", "datasketch"] = Field(
        "rounds",
        description="Two ways to candidates, which are verified alike; datasketch is its "
        "MinHashLSH, in one worker.",
    )
    threshold: float = Field(
        0.8, gt=0, le=1, description="Lowest Jaccard similarity of a duplicate."
    )
    unit: Literal["word", "character"] = Field(
        "word",
        description="N-grams of words (in scripts without spaces each character is "
        "one), or of characters in every script.",
    )
    ngram: int = Field(
        5,
        ge=1,
        le=64,
        description="Words (or characters) in an n-gram. Of those that end in a script without "
        "spaces, with unit word, half as many characters: 3 of 5.",
    )
    permutations: int = Field(128, ge=16, le=1024, description="Length of a MinHash signature.")
    max_miss: float = Field(
        0.05, gt=0, lt=1, description="Highest chance to miss a pair that is just at the threshold."
    )
    keep: str = Field(
        "first",
        description="Which copy stays: first, longest, newest:FIELD, highest:FIELD, "
        "priority:FIELD=a,b,c. Holds for exact duplicates too.",
    )

    @field_validator("keep")
    @classmethod
    def _known_policy(cls, value: str) -> str:
        KeepPolicy.parse(value)
        return value


class PassageSettings(Section):
    """Duplicate passages: runs of bytes that occur more than once, within and across documents."""

    enabled: bool = Field(True, description="Look for duplicate passages.")
    action: Literal["cut", "report"] = Field("cut", description="Cut later copies, or only report.")
    method: Literal["anchors", "suffix-array"] = Field(
        "anchors", description="Two ways to the same answer; suffix-array needs 26 bytes a byte."
    )
    cut_values: bool = Field(
        False,
        description="Cut in documents of several values too (input.text), such as the turns of a "
        "chat; without it their passages are reported.",
    )
    min_bytes: int = Field(100, ge=16, le=16384, description="Shortest passage, in UTF-8 bytes.")
    min_words: int = Field(0, ge=0, description="Passages with fewer words are left alone.")
    boundary: Literal["structure", "line", "word", "character"] = Field(
        "structure",
        description="Where a cut may begin and end. structure: at a line break if one is near, "
        "else at a sentence, else at a word, and such that no row, list item, bracket, turn or "
        "answer is left half.",
    )
    min_remaining: int = Field(
        0,
        ge=0,
        description="A document with fewer characters left than this, white space not counted, is "
        "removed whole (one with nothing left always is).",
    )


class DedupSettings(Section):
    """Duplicates, of this input and of an index."""

    index: str = Field(
        "",
        description="Folder or fsspec URL of an index of what earlier runs kept (docs/nightly.md): "
        "duplicates of that are removed too, and what this run keeps is added; empty: none.",
    )
    exact: ExactSettings = ExactSettings()
    near: NearSettings = NearSettings()
    passages: PassageSettings = PassageSettings()


class PatternSettings(Section):
    """A type of personal data of your own, a table [[pii.patterns]]."""

    name: str = Field(description="Its name in tables and reports, such as CASE_NUMBER.")
    regex: str = Field(description="Regular expression of the regex package, case ignored.")
    score: float = Field(1.0, ge=0, le=1, description="Score of a finding without context.")
    context: list[str] = Field([], description="Words before a finding that raise its score.")
    action: Action | None = Field(None, description="What is done; pii.actions outranks it.")
    surrogate: str = Field(
        "",
        description="Shape of its surrogates: # is a digit, % one but 0, ? a letter, anything else "
        "itself, as in EMP-######; at least 1,000,000 values have to have it. Without: the class "
        "of each character of the value.",
    )


class PiiSettings(Section):
    """Personal data, secrets, and the traces that earlier de-identification left."""

    enabled: bool = Field(True, description="Look for personal data, secrets and such traces.")
    sample: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Share of the documents that a gate searches, drawn by a hash of their ids "
        "(--sample).",
    )
    recognizers: list[str] = Field(
        ["default"],
        description='What is looked for: entities ("US_SSN"), countries ("de"), presets '
        '("default", "hipaa", "all"); or Presidio recognisers of yours, by import path '
        '("my_package.module:MyRecognizer").',
    )
    without: list[str] = Field([], description="Of these the ones that are not looked for.")
    threshold: float = Field(
        0.4, ge=0, le=1, description="Score from which a finding counts; Presidio's own is 0."
    )
    thresholds: dict[str, float] = Field(
        {}, description="The same by entity, for example {US_SSN = 0.5}."
    )
    allow: list[str] = Field(
        list(ALLOW_BY_DEFAULT),
        description="Texts that are no findings; case matters. Addresses of no machine, at first.",
    )
    allow_regex: list[str] = Field(
        [], description="Regular expressions; a finding in which one matches is none."
    )
    context: bool = Field(True, description="Whether words before a finding raise its score.")
    compatible: bool = Field(
        False,
        description="Find what Presidio finds, digit for digit: slices as IPv6 addresses, integers "
        "and decimals as phones, context words within other words; and no address that touches "
        "another script.",
    )
    secrets: bool = Field(
        True, description="Look for API keys, tokens, passwords and private keys."
    )
    secret_rules: list[dict[str, Any]] = Field(
        [],
        description="Rules for other secrets, each a table [[pii.secret_rules]] with name, pattern "
        "and examples (docs/personal-data.md).",
    )
    patterns: list[PatternSettings] = Field(
        [],
        description="Types of your own, each a table [[pii.patterns]] with name and regex; score, "
        "context, action and surrogate if you like (docs/personal-data.md).",
    )
    markers: bool = Field(
        True, description="Look for what earlier de-identification left, such as [**Name**]."
    )
    marker_threshold: float = Field(
        0.5, ge=0, le=1, description="Score from which such a trace counts."
    )
    addresses: bool = Field(
        True, description="Look for street addresses and post boxes, in seven languages."
    )
    names: bool = Field(
        True,
        description="Look for people, places and organizations in English text, with a tagger that "
        "comes with unrote; not where `ner` names a model.",
    )
    ner: str = Field(
        "",
        description="A model for names and places: spacy:NAME, transformers:NAME or gliner:NAME, "
        "where NAME is installed or a folder. Nothing is downloaded.",
    )
    ner_labels: dict[str, str] = Field(
        {},
        description="What its labels stand for, where their names do not tell, such as {ALIAS = "
        '"PERSON"}; "" leaves one out. For GLiNER the labels that it is asked for.',
    )
    ner_device: str = Field("auto", description="Where it runs: auto, cuda, cuda:N, mps or cpu.")
    columns: list[str] = Field(
        [],
        description="Other string fields that are read and edited as the text is; or paths to "
        "them, such as meta.email.",
    )
    actions: dict[str, Action] = Field(
        {},
        description='What is done, by entity; "*" is all that are not named. One of '
        + ", ".join(ACTIONS)
        + ". Without: surrogate, but keep for DATE_TIME, URL, LOCATION, ORGANIZATION and "
        'POSSIBLE_PERSON (unless "hipaa" is looked for; LOCATION and ORGANIZATION also go where '
        "`ner` finds them) and for RESERVED_VALUE.",
    )
    everywhere: bool = Field(
        False,
        description="Replace a value that was found and replaced in one document in all others, in "
        "every spelling: e-mail addresses, and what has 9 letters and digits or more. Reads the "
        "text once more.",
    )
    key_file: str = Field(
        "",
        description="File with the secret that surrogates and fingerprints are made with; the "
        f"variable {KEY_VARIABLE} outranks it. Without either a run makes a secret and forgets it.",
    )
    max_chars: int = Field(
        50_000_000, ge=1, description="Longest document, in characters; longer ones are rejected."
    )
    max_seconds: float = Field(
        60.0, gt=0, description="Time that one recogniser may take for one document."
    )

    @property
    def config(self) -> Config:
        """Of the detectors. Raises ConfigError for a name or value that cannot be."""
        return Config(
            recognizers=tuple(self.recognizers),
            without=tuple(self.without),
            threshold=self.threshold,
            thresholds=tuple(sorted(self.thresholds.items())),
            allow=tuple(self.allow),
            allow_regex=tuple(self.allow_regex),
            context=self.context,
            compatible=self.compatible,
            secrets=self.secrets,
            secret_rules=self._rules,
            patterns=tuple(
                Pattern(one.name, one.regex, one.score, tuple(one.context), one.surrogate)
                for one in self.patterns
            ),
            markers=self.markers,
            marker_threshold=self.marker_threshold,
            addresses=self.addresses,
            names=self.names,
            ner=self.ner,
            ner_labels=tuple(sorted(self.ner_labels.items())),
            ner_device=self.ner_device,
            max_chars=self.max_chars,
            max_seconds=self.max_seconds,
        )

    @property
    def _rules(self) -> "tuple[Rule, ...]":
        if not self.secret_rules:
            return ()
        from unrote.pii.secret_rules import user_rules  # noqa: PLC0415 (compiles expressions)

        return user_rules(self.secret_rules)

    @property
    def all_actions(self) -> dict[str, Action]:
        """What is done by type, DEFAULT (pii.config) among them."""
        own = {one.name: one.action for one in self.patterns if one.action is not None}
        return own | actions_for(self.recognizers, self.actions, self.ner)

    @property
    def harmless(self) -> tuple[str, ...]:
        """Types of which nobody asks whether a model completes them, unless `actions` names them:
        those that are kept by default, and traces of earlier de-identification.
        """
        kept = (type_ for type_, action in ACTIONS_BY_DEFAULT.items() if action == "keep")
        return tuple(sorted({*kept, *MARKER_TYPES} - set(self.actions)))

    @field_validator("columns")
    @classmethod
    def _distinct(cls, names: list[str]) -> list[str]:
        if "" in names or len(set(names)) < len(names):
            raise ValueError("must name each column once")
        for name in names:
            _check_paths(name)
        return names

    @model_validator(mode="after")
    def _known(self) -> "PiiSettings":
        try:
            config = self.config
            known = (*KNOWN_TYPES, SECRET, *(one.name for one in self.patterns))
            if not config.has_unknown_types:
                for type_ in self.actions:
                    if type_ != DEFAULT:
                        check_entity(type_, (*known, *MARKER_TYPES))
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return self


class TargetSettings(Section):
    """The model that will be trained on the released text, for which the risk is."""

    parameters: str = Field("7B", description="How many it has, for example 125M or 7B.")
    tokens: str = Field(
        "1T", description="What it is trained on in all, this text among it, for example 300B."
    )
    epochs: float = Field(1.0, gt=0, le=10_000, description="How often it reads this text.")

    @field_validator("parameters", "tokens", mode="before")
    @classmethod
    def _is_count(cls, value: object) -> object:
        written = f"{value:.0f}" if isinstance(value, int | float) else value
        if isinstance(written, str):
            try:
                size_of(written)
            except ConfigError as error:
                raise ValueError(str(error)) from None
        return written

    @property
    def target(self) -> Target:
        """As memorization.risk has it."""
        return Target(size_of(self.parameters), size_of(self.tokens), self.epochs)


class MemorizationSettings(Section):
    """Which sequences of the released text would be extractable from a model trained on it?"""

    enabled: bool = Field(True, description="Score the risk of memorization.")
    model: str = Field(
        "default",
        min_length=1,
        description="The reference model: default (comes with unrote, small), a folder, or a name "
        "in the Hugging Face cache. Nothing is downloaded.",
    )
    comparison_model: str = Field(
        "",
        description="A second model, whose loss `loss_relative` is relative to; empty: none. Same "
        "tokenizer.",
    )
    device: str = Field("auto", description="auto, cuda, cuda:N, mps or cpu.")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="auto is bfloat16 on a GPU and float32 on a CPU."
    )
    prefix: int = Field(50, ge=0, description="Tokens of a sequence that are the prompt.")
    suffix: int = Field(50, ge=1, description="Tokens of a sequence to be extracted.")
    top_k: int = Field(40, ge=0, description="Tokens that sampling chooses from; 0 is all.")
    temperature: float = Field(1.0, gt=0, description="Of that sampling.")
    generate: bool = Field(
        False, description="Generate suffixes too: Biderman score, edit distance, BLEU. Slow."
    )
    max_tokens: int = Field(
        0,
        ge=0,
        description="Tokens that the reference model reads, of the riskiest repeated sequences and "
        "of a random sample; 0 is one in 200 of the released text (20,000 at least; fewer of a "
        "model above 5 million parameters) on a CPU, and all on a GPU.",
    )
    max_entities: int = Field(
        1000,
        ge=0,
        description="Findings kept in the text of which is measured whether the reference model "
        "completes them; each takes as much as 33 sequences.",
    )
    calibration: str = Field(
        "",
        description="Coefficients that a proxy run has written (unrote proxy): the risk is then "
        "for the model it trained, and target has to be left out; empty: it is for `target`.",
    )
    threshold: float = Field(
        0.5,
        gt=0,
        le=1,
        description="A sequence is at risk where the high end of its risk's band is this or more.",
    )
    action: Literal["report", "remove-sequence", "remove-document"] = Field(
        "report", description="What is done with sequences at risk, or with their documents."
    )
    masks: Literal["none", "at-risk", "all"] = Field(
        "none",
        description="Goldfish masks, the table `masks`: tokens of the released text to leave out "
        "of the training loss. at-risk: only in sequences at risk (`threshold`).",
    )
    mask_tokenizer: str = Field(
        "",
        description="Whose tokens they count: a folder, or a name in the Hugging Face cache; "
        "empty: `model`.",
    )
    mask_k: int = Field(4, ge=2, description="One token in so many is left out.")
    mask_h: int = Field(13, ge=1, description="Tokens before it that decide which.")
    mask_key: int = Field(
        0, ge=0, description="Another key gives other masks; the same text has the same. No secret."
    )
    target: TargetSettings = TargetSettings()

    @model_validator(mode="after")
    def _one_model(self) -> "MemorizationSettings":
        if self.calibration and self.target != TargetSettings():
            raise ValueError(
                "calibration is of a proxy model, target of another. Leave one of them out: a "
                "proxy run says nothing of the probabilities of a larger model"
            )
        return self

    @property
    def risk(self) -> Forecast:
        """What the risk is computed with. Raises InputError for a calibration that is none."""
        return self.proxy_risk if self.calibration else Risk(self.target.target)

    @property
    def scored_target(self) -> Target | None:
        """What risks are for; None: a proxy model."""
        return None if self.calibration else self.target.target

    @property
    def proxy_risk(self) -> ProxyRisk:
        """The risk for a proxy model. Raises InputError for a calibration that is none."""
        return ProxyRisk.load(Path(self.calibration) if self.calibration else None)

    @property
    def config(self) -> MemorizationConfig:
        """How texts are cut and what is measured. Raises ConfigError for what cannot be."""
        return MemorizationConfig(
            prefix=self.prefix,
            suffix=self.suffix,
            top_k=self.top_k,
            temperature=self.temperature,
            generate=self.generate,
        )

    @property
    def models(self) -> Models:
        """Which models measure what, and where. Raises ConfigError for what cannot be."""
        return Models(self.model, self.comparison_model, self.device, self.precision, self.config)


class SparkSettings(Section):
    """How Spark is reached."""

    master: str = Field(
        "",
        description="The master's URL, for example spark://host:7077 or yarn; empty: what "
        "spark-submit says, or else this machine.",
    )
    conf: dict[str, str] = Field(
        {}, description='Spark\'s own settings, for example {"spark.executor.memory" = "4g"}.'
    )

    @field_validator("conf", mode="before")
    @classmethod
    def _dotted(cls, value: object) -> object:
        """Take spark.executor.memory=4g, which TOML reads as nested tables, by its whole name."""
        if not isinstance(value, Mapping):
            return value
        return {name: _plain(one) for name, one in _leaves(value, "")}


def _leaves(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _plain(value: object) -> object:
    """A number or boolean as Spark writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


class BeamSettings(Section):
    """How Beam runs."""

    runner: str = Field(
        "FnApiRunner", description="Beam's runner: FnApiRunner (this machine), DataflowRunner, …"
    )
    options: list[str] = Field(
        [], description='The runner\'s own options, for example ["--region=europe-west4"].'
    )


class EngineSettings(Section):
    """Where the job runs."""

    name: Literal["local", "spark", "beam"] = Field("local", description="The engine.")
    workers: int = Field(0, ge=0, le=1024, description="Threads; 0 is one for each core.")
    memory: str = Field(
        "2GiB",
        description="Memory the run may use; what does not fit is spilled to disk. On Spark and "
        "Beam: of each worker process.",
    )
    scratch: str = Field(
        "",
        description="Folder for spilled data; empty: in OUT while it runs, if that is on a disk, "
        "else, and on Spark and Beam, the folder for temporary files.",
    )
    batch: str = Field(
        "8MiB", description="Size of the batches that text is worked on in, at most."
    )
    partitions: int = Field(
        0,
        ge=0,
        le=65536,
        description="Tasks of a shuffle on Spark and Beam; 0: by the input's size.",
    )
    spark: SparkSettings = SparkSettings()
    beam: BeamSettings = BeamSettings()

    @property
    def memory_bytes(self) -> int:
        """`memory` in bytes."""
        return _size(self.memory)

    @property
    def batch_bytes(self) -> int:
        """`batch` in bytes."""
        return _size(self.batch)

    @property
    def worker_count(self) -> int:
        """Threads to use: as set, or one for each core that this process may use."""
        if self.workers:
            return self.workers
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1

    @field_validator("memory", "batch")
    @classmethod
    def _is_size(cls, value: str) -> str:
        _check_size(value)
        return value

    @field_validator("memory")
    @classmethod
    def _enough(cls, value: str) -> str:
        if _size(value) < 256 << 20:
            raise ValueError("must be at least 256MiB")
        return value

    @field_validator("batch")
    @classmethod
    def _large_enough(cls, value: str) -> str:
        if not 100 <= _size(value) <= 1 << 30:
            raise ValueError("must be between 100 (bytes) and 1GiB")
        return value


def _check_size(text: str) -> None:
    """Raises ValueError where `_size` cannot read it."""
    if not re.fullmatch(r"\d+(\.\d+)? ?([KMGT]i?B)?", text):
        raise ValueError("must be a size, for example 512MiB or 2GiB")


def _size(text: str) -> int:
    """A size such as 512MiB, in bytes."""
    digits = text.rstrip("KMGTiB ")
    unit = text[len(digits) :].strip()
    base = 1024 if unit.endswith("iB") else 1000
    return int(float(digits) * base ** ("KMGT".index(unit[0]) + 1 if unit.rstrip("B") else 0))


class OutputSettings(Section):
    """What is written."""

    data: bool = Field(True, description="Write the cleaned corpus; false: tables and report only.")
    keep_removed: str = Field(
        "", description="Folder outside OUT that gets what was removed; empty: nowhere."
    )
    excerpts: bool = Field(
        True, description="Show text of the corpus in the report; what is personal is masked."
    )
    internal_tables: bool = Field(False, description="Keep the tables that phases pass on.")
    lock: Literal["auto", "none", "break"] = Field(
        "auto",
        description="Keep other runs out of OUT: by a lock on a disk, by a lease in a store. none: "
        "you see to it that there is one at a time. break: take it from a run on another machine "
        "that does not give it back (--break-lock).",
    )
    lock_timeout: float = Field(
        0.0, ge=0.0, description="Seconds to wait for OUT where another run is writing to it."
    )


class StorageSettings(Section):
    """How object stores are reached."""

    options: dict[str, dict[str, Any]] = Field(
        {},
        exclude=True,  # there may be secrets in it, and it decides no result
        description="Arguments of fsspec's file systems, by protocol, on top of what the "
        'environment says, for example {s3 = {endpoint_url = "http://minio:9000"}}. They are kept '
        "in no file.",
    )


class LineageSettings(Section):
    """Whether OpenLineage is told of runs. Where to: OPENLINEAGE_URL, or openlineage.yml."""

    enabled: bool = Field(False, description="Send events when a run starts and ends.")
    namespace: str = Field("unrote", min_length=1, description="Of the job.")
    job: str = Field("", description="Its name; empty: unrote.clean, by the command.")


class EvaluationSet(TextPaths):
    """An evaluation set, a table [[contamination.sets]]."""

    path: str = Field(description="File, folder, glob or fsspec URL, in any format of the input.")
    name: str = Field("", description="As tables and reports call it; empty: the path.")
    text: str | list[str] = Field(
        "text", description="Field of an item, a path to it, or a list of these, as input.text."
    )
    id: str = Field("id", description="Field with its name; without, the file and the row.")
    digest: str = Field(
        "", description="Of its content: another one is an error. Empty: a run notes it."
    )

    @property
    def label(self) -> str:
        """As tables and reports call it."""
        return self.name or self.path


class ContaminationSettings(Section):
    """Evaluation sets that the corpus must not contain (docs/contamination.md)."""

    sets: list[EvaluationSet] = Field(
        [],
        description="The sets, each a table [[contamination.sets]] with path; name, text, id and "
        "digest if you like. --against FILE#FIELD,FIELD adds one.",
    )
    rule: Literal["gpt3", "llama2", "olmo"] = Field(
        "gpt3",
        description="When an item counts as contaminated, by the rule that its authors published: "
        "gpt3, it shares one n-gram of 8 to 13 words; llama2, 80 % of it is in shared n-grams of "
        "over ten words; olmo, more than half is in 8-grams of one document. The report has all.",
    )
    action: Literal["report", "cut", "remove"] = Field(
        "report",
        description="What is done: nothing, the shared passages are cut, or documents with one are "
        "removed.",
    )

    @property
    def removes(self) -> bool:
        """Whether documents are removed."""
        return bool(self.sets) and self.action == "remove"

    @property
    def cuts(self) -> bool:
        """Whether passages are cut."""
        return bool(self.sets) and self.action == "cut"

    @model_validator(mode="after")
    def _distinct(self) -> "ContaminationSettings":
        labels = [one.label for one in self.sets]
        for label in labels:
            if labels.count(label) > 1:
                raise ValueError(f"two evaluation sets are called {label!r}. Give them names")
        return self


class LanguageSettings(Section):
    """Which languages and scripts are there? Tables `languages` and `scripts`."""

    enabled: bool = Field(
        False, description="Tell each document's language, and count its letters by script."
    )


class Settings(Section):
    """All settings of a run."""

    input: InputSettings = InputSettings()
    dedup: DedupSettings = DedupSettings()
    pii: PiiSettings = PiiSettings()
    memorization: MemorizationSettings = MemorizationSettings()
    contamination: ContaminationSettings = ContaminationSettings()
    languages: LanguageSettings = LanguageSettings()
    engine: EngineSettings = EngineSettings()
    output: OutputSettings = OutputSettings()
    storage: StorageSettings = StorageSettings()
    lineage: LineageSettings = LineageSettings()

    @property
    def scan_config(self) -> Config:
        """Of detectors: they read texts in the form in which all of the run compares them."""
        return replace(self.pii.config, normalization=self.input.normal_form)

    @property
    def finds_entities(self) -> bool:
        """Whether a model looks for names and what else it knows."""
        return self.pii.enabled and bool(self.pii.ner)

    @property
    def shown_configs(self) -> tuple[Config, ...]:
        """Of detectors for text that is shown: the run's, and the default."""
        default = replace(PiiSettings().config, normalization=self.input.normal_form)
        return tuple(dict.fromkeys((self.scan_config, default)))

    @property
    def fields(self) -> Fields:
        """The fields of a row that a run reads."""
        return Fields(
            text=self.input.paths,
            id=self.input.id,
            source=self.input.source,
            order=KeepPolicy.parse(self.dedup.near.keep).field,
            columns=tuple(self.pii.columns) if self.pii.enabled else (),
            max_document=self.input.max_document_bytes,
            max_expansion=self.input.max_expansion,
        )

    @property
    def has_several(self) -> bool:
        """Whether a document's text may have several values."""
        return selection(self.input.paths).is_several

    @property
    def removes_sequences(self) -> bool:
        """Whether sequences at risk of memorization are taken out."""
        ours = self.memorization
        return ours.enabled and ours.action == "remove-sequence"

    @property
    def cuts_passages(self) -> bool:
        """Whether duplicate passages are looked for, and cut."""
        ours = self.dedup.passages
        cuts = ours.action == "cut" and (ours.cut_values or not self.has_several)
        return ours.enabled and cuts

    @model_validator(mode="after")
    def _index_can_tell(self) -> "Settings":
        """With an index what is released must depend on earlier documents alone."""
        if not self.dedup.index:
            return self
        needed = {
            "dedup.exact.enabled=true": self.dedup.exact.enabled,
            "dedup.passages.method=anchors": self.dedup.passages.method == "anchors"
            or not self.dedup.passages.enabled,
            "dedup.passages.min_remaining=0": self.dedup.passages.min_remaining <= 1
            or not self.dedup.passages.enabled,
            "dedup.near.method=rounds": self.dedup.near.method == "rounds",
            "pii.everywhere=false": not (self.pii.enabled and self.pii.everywhere),
            "memorization.action=report": not self.memorization.enabled
            or self.memorization.action == "report",
        }
        if missing := [name for name, given in needed.items() if not given]:
            raise ValueError(
                "dedup.index: with an index what is released depends on earlier documents alone. "
                f"These settings are not made for that: give --set {' --set '.join(missing)}"
            )
        return self

    @model_validator(mode="after")
    def _text_is_no_other_column(self) -> "Settings":
        texts = selection(self.input.paths).paths
        for name in self.pii.columns:
            if parse_path(name) in texts:
                raise ValueError(f"pii.columns names {name!r}, which is the text and always read")
        for name in (self.input.id, self.input.source):
            if name in self.pii.columns:
                raise ValueError(
                    f"pii.columns names {name!r}, which is an id or source: the tables and reports "
                    "call documents by it. Let input.id or input.source name another field, or none"
                )
        return self


def load(
    path: str | os.PathLike[str] | None = None,
    overrides: Sequence[str] = (),
    named: Mapping[str, Any] | None = None,
) -> Settings:
    """The settings of the TOML file `path` (none: the defaults) with `key=value` overrides on top.

    An override's value is TOML; what does not parse as TOML is taken as a string. `named` are
    overrides by key, on top of these, whose values are taken as they are.
    Raises ConfigError, which names every wrong setting at once.
    """
    tree: dict[str, Any] = {}
    if path is not None:
        tree = read_toml(path)
    for override in overrides:
        _apply(tree, override)
    for key, value in (named or {}).items():
        _set(tree, key, value, f"{key}={value}")
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(*describe(error, Settings, f"{path}: " if path else "")) from None


def with_sets(settings: Settings, against: Sequence[str]) -> Settings:
    """The settings with more evaluation sets, each FILE or FILE#FIELD,FIELD.

    Raises ConfigError for a field that is no path, and for a set that is there already.
    """
    if not against:
        return settings
    tree = settings.model_dump()
    for given in against:
        path, _, named = given.partition("#")
        texts = [name.strip() for name in named.split(",") if name.strip()]
        text: str | list[str] = texts[0] if len(texts) == 1 else texts or "text"
        tree["contamination"]["sets"].append({"path": path, "text": text})
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(*describe(error, Settings, "--against: ")) from None


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A TOML file as a tree. Raises ConfigError where it is missing or malformed."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"cannot read {path}: {error.strerror}. `unrote init` writes one."
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text.") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}.") from None


def _apply(tree: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(
            f"--set {override!r} is not KEY=VALUE, for example --set dedup.near.threshold=0.7."
        )
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    _set(tree, key.strip(), value, override)


def _set(tree: dict[str, Any], key: str, value: Any, override: str) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"--set {override!r}: {parent} is a value, not a section.")
    tree[last] = value


def describe(error: ValidationError, model: type[BaseModel], where: str) -> list[str]:
    """A validation error in plain words: each wrong setting, its value, what is allowed. The first
    begins with `where` it is.
    """
    lines = []
    for problem in error.errors(include_url=False):
        path = tuple(str(part) for part in problem["loc"])
        name = ".".join(path)
        if problem["type"] == "extra_forbidden":
            known = _known_keys(model, path[:-1])
            near = difflib.get_close_matches(path[-1], known, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            lines.append(f"unknown setting {name!r}.{hint} Known there: {', '.join(known)}.")
        elif problem["type"] == "model_type":
            keys = ", ".join(_known_keys(model, path))
            lines.append(f"{name} = {problem['input']!r}: is a section. Set a key in it: {keys}.")
        else:
            message = problem["msg"].removeprefix("Value error, ").rstrip(".")
            lines.append(f"{name} = {problem['input']!r}: {message}." if name else f"{message}.")
    return [where + lines[0], *lines[1:]]


def _known_keys(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    for part in path:
        if part.isdigit():
            continue
        annotation = model.model_fields[part].annotation
        while not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            annotation = annotation.__args__[-1]  # type: ignore[union-attr]
        model = annotation
    return list(model.model_fields)
