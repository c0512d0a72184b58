"""Presidio's recognisers as the detector runs them: on the text where they can match, no further.

Each keeps Presidio's expressions, validators and scores; what is left out is what does not change
the findings: explanations, copies, and patterns whose findings cannot reach the threshold. An
expression that runs out of time raises here. (Presidio logs it and lets the text pass.)
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from time import perf_counter
from typing import Any, NamedTuple, Protocol

import regex
from phonenumbers import region_code_for_number
from presidio_analyzer import Pattern as PresidioPattern
from presidio_analyzer import PatternRecognizer, pattern_recognizer
from presidio_analyzer.predefined_recognizers import (
    IbanRecognizer,
    IpRecognizer,
    PhoneRecognizer,
    UrlRecognizer,
    ZaMobileNumberRecognizer,
    ZaTelephoneNumberRecognizer,
)

from unrote.corpus.errors import ConfigError
from unrote.pii.catalogue import REGISTRY_FLAGS, Entry, build
from unrote.pii.config import Config, Pattern
from unrote.pii.context import boosted
from unrote.pii.phone_candidates import Likely
from unrote.pii.phones import PREFILTER_EXPRESSIONS, Phone, PhoneFinder
from unrote.pii.plausibility import EMAIL, behind_escape, is_phone_like
from unrote.pii.prefilter import is_wide, is_within_lines, unreadable
from unrote.pii.urls import UrlFinder, dot_expression

ZaPhone = (ZaMobileNumberRecognizer, ZaTelephoneNumberRecognizer)


class Span(NamedTuple):
    """A finding in a piece of text: code points [start, end) and score."""

    start: int
    end: int
    score: float


class Expression(NamedTuple):
    """What the prefilter looks for on behalf of a recogniser, under `flags` of the re module.

    `beyond_ascii` says that it counts as found in every block that is not ASCII.
    """

    text: str
    flags: int
    beyond_ascii: bool = False


class Recognizer(Protocol):
    """One recogniser on one piece of text.

    within_lines  whether its findings in whole lines of a text depend on these lines alone
    expressions   the recogniser runs where one of these is found; none: it runs on every document
    weak          of these, the ones whose findings count only if a context word raises them
    """

    entity: str
    origin: str
    context: list[str]
    within_lines: bool
    expressions: tuple[Expression, ...]
    weak: frozenset[int]

    def find(self, text: str, fired: Sequence[int]) -> list[Span]:
        """The findings in `text` of the expressions with the indices `fired` (in order).

        Raises TimeoutError where one takes longer than the configuration allows.
        """


def load(entry: Entry, config: Config) -> Recognizer | None:
    """The recogniser of an entry; None if none of its findings can reach the threshold."""
    return wrap(build(entry), config)


def of_pattern(pattern: Pattern, config: Config) -> Recognizer | None:
    """The recogniser of a user's pattern; None if none of its findings can reach the threshold.

    Raises ConfigError where Hyperscan cannot read the expression.
    """
    if problem := unreadable(pattern.regex, REGISTRY_FLAGS):
        raise ConfigError(
            f"pattern {pattern.name}: Hyperscan, which looks where patterns may match, cannot read "
            f"it: {problem} Write it with classes of characters, counts and groups."
        )
    made = PatternRecognizer(
        supported_entity=pattern.name,
        name=f"pattern {pattern.name}",
        patterns=[PresidioPattern(pattern.name, pattern.regex, pattern.score)],
        context=list(pattern.context),
        global_regex_flags=REGISTRY_FLAGS,
    )
    return wrap(made, config)


def wrap(presidio: Any, config: Config) -> Recognizer | None:
    """A recogniser of Presidio, in the fastest way that is known to give its findings."""
    if type(presidio) is PhoneRecognizer:
        return Phones(presidio, config)
    if type(presidio) in ZaPhone:
        return ZaPhones(presidio, config)
    if type(presidio) is UrlRecognizer and _is_known(presidio):
        return Urls(presidio, config)
    if type(presidio).analyze is not PatternRecognizer.analyze:
        return Whole(presidio, config)
    made = Emails if _is_email(presidio) and not config.compatible else Patterns
    if type(presidio) is IpRecognizer:
        made = IpAddresses
    patterns = made(presidio, config)
    return patterns if patterns.expressions else None


def without_duplicates(spans: Iterable[Span]) -> list[Span]:
    """Presidio's EntityRecognizer.remove_duplicates, for spans of one type; by offset.

    A span goes if another contains it that has at least its score.
    """
    spans = list(spans)
    if all(one.end < other.start for one, other in pairwise(spans)):
        return spans  # of most texts
    ordered = sorted(set(spans), key=lambda span: (span.start, -span.end, -span.score))
    if all(one.end < other.start for one, other in pairwise(ordered)):
        return ordered
    kept: list[Span] = []
    active: list[Span] = []
    for span in ordered:
        active = [other for other in active if other.end >= span.start]
        if not any(other.end >= span.end and other.score >= span.score for other in active):
            kept.append(span)
            active.append(span)
    return kept


class _Base:
    expressions: tuple[Expression, ...] = ()
    weak: frozenset[int] = frozenset()
    within_lines = True

    def __init__(self, presidio: Any) -> None:
        self.presidio = presidio
        self.entity: str = presidio.supported_entities[0]
        self.origin: str = presidio.name
        self.context = [word.lower() for word in presidio.context or ()]


class _Pattern(NamedTuple):
    expression: Any
    score: float


class Patterns(_Base):
    """A PatternRecognizer: PatternRecognizer.analyze without what does not change findings.

    A pattern is *weak* if nothing validates its findings and its score is below the threshold.
    Dropping a weak pattern where no context word can raise it changes nothing else: of the same
    recogniser it could only have replaced findings with a score as low.
    """

    def __init__(self, presidio: Any, config: Config) -> None:
        super().__init__(presidio)
        made = type(presidio)
        self._validates = made.validate_result is not PatternRecognizer.validate_result
        self._invalidates = made.invalidate_result is not PatternRecognizer.invalidate_result
        self._limit = config.max_seconds
        threshold = config.threshold_of(self.entity)
        flags = presidio.global_regex_flags
        patterns: list[_Pattern] = []
        expressions: list[Expression] = []
        weak: list[int] = []
        for pattern in presidio.patterns:
            if not self._validates:
                raised = config.context and bool(self.context)
                most = boosted(pattern.score, [""], [""]) if raised else pattern.score
                if most < threshold:
                    continue
                if pattern.score < threshold:
                    weak.append(len(patterns))
            patterns.append(_Pattern(regex.compile(pattern.regex, flags), pattern.score))
            expressions.append(Expression(pattern.regex, flags, is_wide(pattern.regex)))
        self._patterns = tuple(patterns)
        self.expressions = tuple(expressions)
        self.weak = frozenset(weak)
        self.within_lines = all(is_within_lines(e.text, e.flags) for e in expressions)

    def find(self, text: str, fired: Sequence[int]) -> list[Span]:
        spans = []
        for index in fired:
            expression, base = self._patterns[index]
            for match in self._matches(expression, text):
                start, end = match.span()
                if start == end:
                    continue
                score = self._score(match.group(), base) if self._checks else base
                if score > 0:
                    spans.append(Span(start, end, score))
        return without_duplicates(spans)

    def _matches(self, expression: Any, text: str) -> Iterable[Any]:
        """The matches of one of its expressions, in order."""
        found: Iterable[Any] = expression.finditer(text, timeout=self._limit)
        return found

    @property
    def _checks(self) -> bool:
        return self._validates or self._invalidates

    def _score(self, found: str, score: float) -> float:
        valid = self.presidio.validate_result(found)
        if valid is not None:
            score = 1.0 if valid else 0.0
        return 0.0 if self.presidio.invalidate_result(found) else score


_plain_name = re.compile(r"[A-Za-z0-9._%+-]+")
"""What stands before the "@" of an address and nothing takes for a part of a host or path."""

HOSTS = 1 << 14
"""Hosts of addresses, last seen, that are not checked again."""


_NAME = r"!#$%&'*+\-/=?^_`{|}~\w"
_PRESIDIO_EMAIL = (
    rf"\b((([{_NAME}])|([{_NAME}][!#$%&'*+\-/=?^_`{{|}}~\.\w]{{0,}}[{_NAME}]))"
    r"[@]\w+(?:-+\w+)*(?:\.\w+(?:-+\w+)*)+)\b"
)
_host_of_email = regex.compile(r"@\w[\w-]*\.\w")
_name_of_email = regex.compile(rf"(?r)[.{_NAME}]*")


class Emails(Patterns):
    """Presidio's, and addresses in ASCII that touch another script; none begins in an escape.

    `finditer` reads a word again from each of its characters. But a match begins in the run of
    characters before an "@" of which the name of an address is, and a host follows that: so the
    expressions are tried there, in order, and decide.
    """

    def __init__(self, presidio: Any, config: Config) -> None:
        super().__init__(presidio, config)
        flags = presidio.global_regex_flags
        score = max((pattern.score for pattern in self._patterns), default=1.0)
        self._score_of = lru_cache(maxsize=HOSTS)(super()._score)
        self._is_known = [one.regex for one in presidio.patterns] == [_PRESIDIO_EMAIL]
        self._ascii = len(self._patterns)
        self._patterns = (*self._patterns, _Pattern(regex.compile(EMAIL, flags), score))
        # Hyperscan has no such look-around; what is left of the expression fires wherever it does.
        self.expressions = (*self.expressions, Expression(r"[a-z0-9_%+-]@[a-z0-9]", flags))

    def _matches(self, expression: Any, text: str) -> Iterable[Any]:
        return (
            self._from_signs(expression, text)
            if self._is_known
            else super()._matches(expression, text)
        )

    def _from_signs(self, expression: Any, text: str) -> Iterator[Any]:
        after = 0
        sign = text.find("@")
        while sign >= 0:
            if _host_of_email.match(text, sign):
                start = max(after, _name_of_email.match(text, 0, sign).start())
                while start < sign:
                    match = expression.match(text, start, timeout=self._limit)
                    if match is not None:
                        yield match
                        after = match.end()
                        break
                    start += 1
            sign = text.find("@", max(after, sign + 1))

    def _score(self, found: str, score: float) -> float:
        """Its host alone is checked, whose name and ending are looked up, and hosts come again."""
        name, _, host = found.rpartition("@")
        return self._score_of(f"a@{host}" if _plain_name.fullmatch(name) else found, score)

    def find(self, text: str, fired: Sequence[int]) -> list[Span]:
        narrow = super().find(text, [self._ascii]) if self._ascii in fired else []
        wide = super().find(text, [index for index in fired if index != self._ascii])
        # Where both find one, the letters that only the wide one takes are of another script.
        wide = [one for one in wide if not any(_meet(one, other) for other in narrow)]
        return [
            span._replace(start=behind_escape(text, span.start, span.end))
            for span in sorted([*narrow, *wide])
        ]


_v6 = re.compile(r"(?<![\w:])[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]")
_v4 = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]")
_BEGINNINGS_OF_IP = ((r"(?<![\w:])", _v6), (r"\b(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)\.", _v4))


class IpAddresses(Patterns):
    """Presidio's, tried where one can begin: the colons of code and versions are none."""

    def _matches(self, expression: Any, text: str) -> Iterable[Any]:
        for beginning, lead in _BEGINNINGS_OF_IP:
            if expression.pattern.startswith(beginning):
                return self._from(lead, expression, text)
        return super()._matches(expression, text)

    def _from(self, lead: re.Pattern[str], expression: Any, text: str) -> Iterator[Any]:
        after = 0
        while (begin := lead.search(text, after)) is not None:
            match = expression.match(text, begin.start(), timeout=self._limit)
            if match is not None:
                yield match
            after = begin.start() + 1 if match is None else match.end()


def _meet(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end


class Whole(_Base):
    """A recogniser with an `analyze` of its own, which is called.

    Presidio's time limit lets text pass, so what took as long counts as out of time.
    """

    def __init__(self, presidio: Any, config: Config) -> None:
        super().__init__(presidio)
        self._limit = min(config.max_seconds, pattern_recognizer.REGEX_TIMEOUT_SECONDS)
        self.within_lines = False
        if type(presidio) is IbanRecognizer:
            flags = presidio.global_regex_flags
            self.expressions = tuple(Expression(p.regex, flags) for p in presidio.patterns)
            self.within_lines = all(is_within_lines(e.text, e.flags) for e in self.expressions)

    def find(self, text: str, fired: Sequence[int]) -> list[Span]:  # noqa: ARG002
        began = perf_counter()
        results = self.presidio.analyze(text, self.presidio.supported_entities, None)
        if perf_counter() - began >= self._limit:
            raise TimeoutError
        return [Span(result.start, result.end, result.score) for result in results]


class Urls(_Base):
    def __init__(self, presidio: Any, config: Config) -> None:
        super().__init__(presidio)
        flags, base = presidio.global_regex_flags, presidio.BASE_URL_REGEX
        self.expressions = (Expression(dot_expression(base), flags),)
        self._scores = [pattern.score for pattern in presidio.patterns]
        sure, bare = self._scores[:2]
        self._score_of = (bare, sure) if self._scores == [sure, bare] * 2 and bare <= sure else ()
        self._finder = UrlFinder([pattern.regex for pattern in presidio.patterns], base, flags)
        self._limit = config.max_seconds

    def find(self, text: str, fired: Sequence[int]) -> list[Span]:  # noqa: ARG002
        spans = self._finder.outermost(text) if self._score_of else None
        if spans is not None:
            return [Span(start, end, self._score_of[sure]) for start, end, sure in spans]
        found = zip(self._scores, self._finder.find(text, self._limit), strict=True)
        return without_duplicates(
            Span(start, end, score) for score, spans in found for start, end in spans
        )


class Phones(_Base):
    """Presidio's PhoneRecognizer: all that phonenumbers finds in any of its regions."""

    def __init__(self, presidio: Any, config: Config) -> None:
        super().__init__(presidio)
        self.may_give_up = config.compatible
        """Whether it finds no more where PhoneNumberMatcher does."""
        self._plausible = None if config.compatible else is_phone_like
        regions = tuple(presidio.supported_regions)
        self._finder = PhoneFinder(regions, presidio.leniency, self._plausible)
        self.expressions = tuple(
            Expression(prefilter, int(regex.I)) for prefilter in PREFILTER_EXPRESSIONS
        )

    def find(self, text: str, fired: Sequence[int]) -> list[Span]:  # noqa: ARG002
        likely = None if self._plausible is None else Likely(text)
        return self._spans(text, self._finder.part(text, likely))

    def find_whole(self, text: str) -> list[Span]:
        """As `find`, for a document in which phonenumbers may give up before its end."""
        return self._spans(text, self._finder.whole(text))

    def _spans(self, text: str, phones: Iterable[Phone]) -> list[Span]:
        score = self.presidio.SCORE
        return without_duplicates(
            Span(phone.start, phone.end, score)
            for phone in phones
            if self._counts(phone) and self._is_plausible(text, phone)
        )

    def _is_plausible(self, text: str, phone: Phone) -> bool:
        """What phonenumbers was asked about may be: it may find a part of that, which is not."""
        return self._plausible is None or self._plausible(text, phone.start, phone.end)

    def _counts(self, phone: Phone) -> bool:  # noqa: ARG002
        return True


class ZaPhones(Phones):
    """South African numbers of one kind, which Presidio tells apart after phonenumbers."""

    def _counts(self, phone: Phone) -> bool:
        if region_code_for_number(phone.number) != self.presidio.REGION:
            return False
        kind = self.presidio._classify(phone.number)
        return bool(kind == self.presidio.target_classification)


def _is_email(presidio: Any) -> bool:
    return bool(presidio.supported_entities == ["EMAIL_ADDRESS"])


def _is_known(presidio: Any) -> bool:
    """Whether a UrlRecognizer has the four expressions that pii.urls is about."""
    base = presidio.BASE_URL_REGEX
    known = [
        "(?i)(?:https?://)" + base,
        "(?i)" + base,
        r'(?i)["\'](https?://' + base + r')["\']',
        r'(?i)["\'](' + base + r')["\']',
    ]
    head = r"((www\d{0,3}[.])?[a-z0-9.\-]{1,253}[.](?:(?:"
    tail = r"))(?:/[^\s()<>\"']*)?)"
    kept = base.startswith(head) and base.endswith(tail)
    return kept and [pattern.regex for pattern in presidio.patterns] == known
