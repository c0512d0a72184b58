"""What a detector looks for. Small and picklable: it is sent to workers instead of the detector.

`recognizers` and `without` take entities ("US_SSN"), countries ("de") and presets: "default" is
Presidio's default English set, "hipaa" what of HIPAA's list has a recogniser, "all" everything.

The default threshold is 0.4. Presidio's own is 0, which keeps every pattern that says of itself
that it is weak: on documentation text half of what it finds then is any word with six digits. At
0.4 a weak pattern counts where a context word stands before it, which is what context words are
for, and what has a check digit or an unmistakable shape counts always.

Limits are in characters of the document, so that every engine rejects the same documents whatever
the machine; `max_seconds` stands behind them, for input that nobody thought of.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from unrote.corpus.errors import ConfigError
from unrote.corpus.normalization import NFC, Normalization
from unrote.pii.catalogue import (
    ADDRESS,
    KNOWN_TYPES,
    NAME_TYPES,
    POSSIBLE_PERSON,
    Entry,
    check_entity,
    resolve,
)
from unrote.pii.findings import DEID_MARKER, MARKER_TYPES, RESERVED_VALUE, Finding

if TYPE_CHECKING:
    from unrote.pii.secret_rules import Rule

SECRET = "SECRET"  # noqa: S105 (the name of a type)

Action = Literal["keep", "remove", "mask", "placeholder", "hash", "surrogate", "reject-document"]
ACTIONS: tuple[Action, ...] = get_args(Action)

DEFAULT = "*"
"""The entry of a mapping that stands for the types it does not name; without it: surrogate.
Placeholders are among the most memorized tokens themselves."""

ACTIONS_BY_DEFAULT: Mapping[str, Action] = {
    DEFAULT: "surrogate",
    DEID_MARKER: "surrogate",  # also where it stands for a type that is kept
    "DATE_TIME": "keep",
    RESERVED_VALUE: "keep",
    "URL": "keep",
    "LOCATION": "keep",
    "ORGANIZATION": "keep",
    POSSIBLE_PERSON: "keep",
}
"""What is done where nobody says otherwise. Most dates and addresses of pages in a text say nothing
of a person, and a corpus with other ones is wrong; a reserved value belongs to nobody
(docs/adr/0009-what-is-replaced.md); nor do most places and organizations say anything of a person,
and what only may be a name is counted (docs/adr/0024-names-by-default.md)."""

KEPT_UNLESS_HIPAA = ("DATE_TIME", "URL", "LOCATION", "ORGANIZATION", POSSIBLE_PERSON)
"""Of these, what is replaced all the same where HIPAA's list is asked for: it names them."""

KEPT_UNLESS_NER = ("LOCATION", "ORGANIZATION")
"""And where a model of the user's finds them: who configures one wants these replaced."""


def actions_for(
    recognizers: Sequence[str] = ("default",),
    actions: Mapping[str, Action] | None = None,
    ner: str = "",
) -> dict[str, Action]:
    """What is done by type, DEFAULT among them: `actions`, and for types that it does not name what
    is done by default where `recognizers` are looked for, and by a model `ner`.
    """
    named = dict(actions or {})
    if DEFAULT in named:
        return named
    changed = {*(KEPT_UNLESS_HIPAA if "hipaa" in recognizers else ())}
    changed |= {*(KEPT_UNLESS_NER if ner else ())}
    return {type_: a for type_, a in ACTIONS_BY_DEFAULT.items() if type_ not in changed} | named


def action_of(finding: Finding, actions: Mapping[str, Action]) -> Action:
    """The action for a finding's type; for a marker's, that of the type which it stands for."""
    default = actions.get(DEFAULT, "surrogate")
    if finding.type == DEID_MARKER:
        return actions.get(DEID_MARKER, actions.get(finding.stands_for, default))
    return actions.get(finding.type, default)


def kept_types(actions: Mapping[str, Action]) -> frozenset[str]:
    """The types whose findings stay as they are, of those that are named."""
    return frozenset(type_ for type_, action in actions.items() if action == "keep")


ALLOW_BY_DEFAULT = ("::", "::1", "0.0.0.0", "127.0.0.1", "255.255.255.255")  # noqa: S104 (no bind)
"""Texts that are no findings where nobody says otherwise: addresses of no machine."""

NER_ENGINES = ("spacy", "transformers", "gliner")


ENTITY_NAME = r"[A-Z][A-Z0-9_]{1,63}"
"""What a type of a user's own may be called."""

_TYPE = re.compile(ENTITY_NAME)
_IMPORT_PATH = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*")


@dataclass(frozen=True)
class Pattern:
    """A type of a user's own: what `regex` (of the package of that name, any letter case) matches.

    score: of a finding without one of the words of `context` shortly before it, in [0, 1].
    surrogate: the shape of its surrogates (pii.surrogates.shapes), such as "EMP-######"; "" for the
    class of each character.
    Raises ConfigError for a name, expression or score that cannot be.
    """

    name: str
    regex: str
    score: float = 1.0
    context: tuple[str, ...] = ()
    surrogate: str = ""

    def __post_init__(self) -> None:
        taken = (*KNOWN_TYPES, SECRET, *MARKER_TYPES)
        if not _TYPE.fullmatch(self.name) or self.name in taken:
            raise ConfigError(
                f"pattern {self.name!r}: give it a name of its own, of capital letters, digits and "
                "underscores, such as CASE_NUMBER."
            )
        if not 0 <= self.score <= 1:
            raise ConfigError(f"pattern {self.name}: its score is {self.score}; give 0 to 1.")
        import regex  # noqa: PLC0415 (the rest of this module needs no package)

        try:
            empty = regex.compile(self.regex).search("") is not None
        except regex.error as error:
            raise ConfigError(f"pattern {self.name}: no regular expression: {error}.") from None
        if empty:
            raise ConfigError(f"pattern {self.name}: it matches where nothing is. Ask for more.")
        if self.surrogate:
            from unrote.pii.surrogates.shapes import problem  # noqa: PLC0415 (as above)

            if wrong := problem(self.surrogate, self.regex):
                raise ConfigError(f"pattern {self.name}: surrogate = {self.surrogate!r}: {wrong}")


@dataclass(frozen=True)
class Config:
    """Which recognisers run, from which score a finding counts, and what a document may cost.

    recognizers, without  entities, countries or presets that run, and of these the ones that don't;
                  `recognizers` may name others by import path (pii.own_recognizers)
    threshold     score in [0, 1] from which a finding counts; `thresholds` sets it by entity
    allow         texts that are not findings (whole finding, case matters)
    allow_regex   expressions of the `regex` package; a finding in which one is found is none
    context       whether context words before a finding raise its score
    compatible    whether findings are Presidio's own, without the rules of pii.plausibility
    secrets       whether rules for secrets run (findings of type SECRET), those of the package
    secret_rules  and others (pii.secret_rules.user_rules)
    patterns      types of the user's own
    markers       whether traces of earlier de-identification are looked for (pii.deid)
    marker_threshold  score in [0, 1] from which such a trace counts
    addresses     whether our own rules look for street addresses
    names         whether our own tagger looks for people, places and organizations, if `ner` is ""
    ner           "" or a model for names and locations: "spacy:NAME", "transformers:NAME" or
                  "gliner:NAME", where NAME is an installed model or a folder. Never downloaded
    ner_labels    what its labels stand for, where the usual names (pii.ner.labels) do not say:
                  pairs of a label and a type, "" for none
    ner_device    where it runs: auto (a GPU if there is one), cuda, cuda:N, mps or cpu. Neither is
                  in the text of a Config: what the model found is given to who scans
    max_chars     longest document (code points) that any recogniser reads; `limits` sets it by
                  entity. IN_PAN's expression is quadratic, so its default is lower
    max_seconds   wall clock that one recogniser may use on one document
    normalization in which form texts are read: what is found in one spelling of a letter with its
                  accent is found in the other; offsets are those of the text as it was given
    prefilter     whether Hyperscan chooses what runs where. Findings are the same without

    Raises ConfigError for a name, threshold, expression or limit that cannot be.
    """

    recognizers: tuple[str, ...] = ("default",)
    without: tuple[str, ...] = ()
    threshold: float = 0.4
    thresholds: tuple[tuple[str, float], ...] = ()
    allow: tuple[str, ...] = ()
    allow_regex: tuple[str, ...] = ()
    context: bool = True
    compatible: bool = False
    secrets: bool = True
    secret_rules: tuple["Rule", ...] = ()
    patterns: tuple[Pattern, ...] = ()
    markers: bool = True
    marker_threshold: float = 0.5
    addresses: bool = True
    names: bool = True
    ner: str = ""
    ner_labels: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    ner_device: str = field(default="auto", repr=False)
    max_chars: int = 50_000_000
    limits: tuple[tuple[str, int], ...] = (("IN_PAN", 100_000),)
    max_seconds: float = 60.0
    normalization: Normalization = NFC
    prefilter: bool = True

    def __post_init__(self) -> None:
        own = [pattern.name for pattern in self.patterns]
        if len(set(own)) < len(own):
            raise ConfigError(f"Of the patterns {', '.join(own)} two have one name. Rename one.")
        known = (*KNOWN_TYPES, SECRET, *own)
        self.entries  # noqa: B018 (raises for an unknown name)
        whole = (("threshold", self.threshold), ("marker_threshold", self.marker_threshold))
        for entity, score in (*whole, *self.thresholds):
            if not entity.endswith("threshold") and not self.has_unknown_types:
                check_entity(entity, known)
            if not 0 <= score <= 1:
                raise ConfigError(f"Threshold {score} of {entity}: give a score from 0 to 1.")
        for entity, chars in (("max_chars", self.max_chars), *self.limits):
            if entity != "max_chars" and not self.has_unknown_types:
                check_entity(entity, known)
            if chars < 1:
                raise ConfigError(f"Limit {chars} of {entity}: give at least 1 character.")
        if not (self.max_seconds > 0 and math.isfinite(self.max_seconds)):
            raise ConfigError(f"max_seconds {self.max_seconds}: give seconds above 0.")
        self._check_imported()
        self._check_ner()
        self._check_allowed()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The catalogue's entries that run, in its order."""
        out = set(resolve(name for name in self.without if name not in (*NAME_TYPES, ADDRESS)))
        named = (name for name in self.recognizers if ":" not in name)
        return tuple(entry for entry in resolve(named) if entry not in out)

    @property
    def imported(self) -> tuple[str, ...]:
        """The import paths ("module:NAME") among `recognizers`, in their order."""
        return tuple(dict.fromkeys(name for name in self.recognizers if ":" in name))

    @property
    def has_unknown_types(self) -> bool:
        """Whether types may come that only an opened detector knows: a model's, or of recognisers
        that are imported.
        """
        return bool(self.ner or self.imported)

    @property
    def name_types(self) -> tuple[str, ...]:
        """What our own tagger looks for."""
        looked_for = NAME_TYPES if self.names and not self.ner else ()
        return tuple(type_ for type_ in looked_for if type_ not in self.without)

    @property
    def shapes(self) -> dict[str, str]:
        """By type the shape of its surrogates, where a pattern gives one."""
        return {one.name: one.surrogate for one in self.patterns if one.surrogate}

    @property
    def finds_addresses(self) -> bool:
        return self.addresses and ADDRESS not in self.without

    def threshold_of(self, entity: str) -> float:
        return dict(self.thresholds).get(entity, self.threshold)

    def limit_of(self, entity: str) -> int:
        """Code points of the longest document that the recogniser of `entity` reads."""
        return min(self.max_chars, dict(self.limits).get(entity, self.max_chars))

    def _check_imported(self) -> None:
        for path in self.imported:
            if not _IMPORT_PATH.fullmatch(path):
                raise ConfigError(
                    f"recognizers name {path!r}: an import path is a module, a colon and a name in "
                    "it, such as 'my_package.recognizers:CaseNumbers'."
                )

    def _check_ner(self) -> None:
        engine, _, model = self.ner.partition(":")
        if self.ner and (engine not in NER_ENGINES or not model):
            raise ConfigError(
                f"ner = {self.ner!r}: give an engine ({', '.join(NER_ENGINES)}), a colon, and an "
                "installed model's name or a folder; for example 'spacy:en_core_web_sm'."
            )
        for label, entity in self.ner_labels:
            if not label or (entity and not _TYPE.fullmatch(entity)):
                raise ConfigError(
                    f"ner_labels: {label!r} = {entity!r}: give a label of the model and a type of "
                    "capital letters, digits and underscores, such as PERSON; or nothing, to leave "
                    "the label out."
                )

    def _check_allowed(self) -> None:
        if any(not text for text in (*self.allow, *self.allow_regex)):
            raise ConfigError("An entry of the allow list is empty: it would allow everything.")
        if self.allow_regex:
            import regex  # noqa: PLC0415 (the rest of this module needs no package)

            for expression in self.allow_regex:
                try:
                    regex.compile(expression)
                except (regex.error, re.error) as error:
                    raise ConfigError(
                        f"allow_regex {expression!r} is not a regular expression: {error}. "
                        "Correct it, or put literal texts in `allow`."
                    ) from None


def default_config() -> Config:
    """What the commands look for where nobody says otherwise."""
    return Config(allow=ALLOW_BY_DEFAULT)
