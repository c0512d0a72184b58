"""Personal data and secrets in texts: Presidio's recognisers, run only where they can match.

`Detector` is opened once per worker (it compiles and loads); workers are sent the Config. For each
document the prefilter (pii.prefilter) says which recogniser can match in which lines; only these
run. The findings are those of Presidio's AnalyzerEngine with the same recognisers,
LowerCaseNlpEngine (pii.context) and the same thresholds: offsets, types and scores.

Fail closed: a recogniser that raises, runs out of time or is given a document beyond its limit
makes a Failure of the document. A document with a Failure has no findings: it is to be rejected.
"""

from bisect import bisect_left
from collections.abc import Container, Iterable, Iterator
from time import perf_counter

import regex

from unrote.pii import recognizers, secrets
from unrote.pii.addresses import Addresses
from unrote.pii.config import SECRET, Config
from unrote.pii.context import boosted, words_around, words_near
from unrote.pii.findings import TIMED_OUT, Failure, Finding
from unrote.pii.phones import count_digits, few_failures
from unrote.pii.plausibility import PLAUSIBLE
from unrote.pii.prefilter import Block, Prefilter, Probe, image_of
from unrote.pii.recognizers import Phones, Recognizer, Span, without_duplicates
from unrote.pii.secrets import Secrets, without_hosts

ALLOW_FLAGS = regex.DOTALL | regex.MULTILINE | regex.IGNORECASE
"""Presidio's, for allow lists."""


_Work = list[tuple[Block, tuple[int, ...]]]
"""Blocks, and which expressions of a recogniser can match there."""

LAST = 2
"""Documents that are known: a text that was scrubbed, as it is and without its escapes, is asked
for again with more types."""

_PLAN = "plan"
"""What is known of a block: by recogniser the expressions that can match there."""


class Detector:
    """The recognisers of a Config, compiled. Not to be shared by threads, nor pickled.

    Raises ConfigError where a named model or recogniser is not installed.
    """

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config()
        self.recognizers = _recognizers(self.config)
        self._limits = [(r.origin, self.config.limit_of(r.entity)) for r in self.recognizers]
        self._lowest_limit = min(
            (limit for _, limit in self._limits), default=self.config.max_chars
        )
        self._owners: list[tuple[int, int]] = []
        lines: list[Probe] = []
        whole: list[Probe] = []
        for index, recognizer in enumerate(self.recognizers):
            for number, expression in enumerate(recognizer.expressions):
                probe = Probe(
                    len(self._owners), expression.text, expression.flags, expression.beyond_ascii
                )
                (lines if recognizer.within_lines else whole).append(probe)
                self._owners.append((index, number))
        self._lines = Prefilter(lines, self.config.prefilter)
        self._whole = Prefilter(whole, self.config.prefilter)
        self._always = [
            index for index, recognizer in enumerate(self.recognizers) if not recognizer.expressions
        ]
        allowed = "|".join(f"(?:{expression})" for expression in self.config.allow_regex)
        self._allow = frozenset(map(self.config.normalization.text, self.config.allow))
        self._allow_expression = regex.compile(allowed, ALLOW_FLAGS) if allowed else None
        self._last: dict[tuple[bytes, tuple[int, ...] | None], _Document] = {}
        self.seconds = dict.fromkeys((recognizer.origin for recognizer in self.recognizers), 0.0)
        """Time spent in each recogniser since the detector was opened, by origin."""

    @property
    def prefilters(self) -> list[Prefilter]:
        """That of expressions that keep to a line, and that of the others."""
        return [self._lines, self._whole]

    def find_bytes(
        self,
        data: bytes,
        doc: int = 0,
        without: Container[str] = (),
        only_at: tuple[int, ...] | None = None,
    ) -> list[Finding] | Failure:
        """The findings in one UTF-8 document, by offset; a Failure if a recogniser could not
        finish it. Entities of `without` are not looked for.

        only_at: code points, in order. With it, those that begin there are all found, and of the
        others some.
        """
        document = self._opened(data, only_at)
        if len(data) > self._lowest_limit and (failure := self._too_long(document, doc)):
            return failure
        findings: list[Finding] = []
        by_entity: dict[str, list[tuple[Span, str]]] = {}
        if document.plan is None:
            document.plan = self._plan(document, only_at)
        for index in sorted(document.plan):
            recognizer = self.recognizers[index]
            if recognizer.entity in without:
                continue
            spans = document.found.get(index)
            if spans is None:
                problem = self._find(index, document, document.plan[index])
                if problem:
                    return Failure(doc, recognizer.origin, problem)
                spans = document.found[index]
            if spans:
                found = by_entity.setdefault(recognizer.entity, [])
                found += [(span, recognizer.origin) for span in spans]
        for entity, found in by_entity.items():
            findings += self._not_allowed(entity, found, document)
        return sorted(without_hosts(document.text, findings) if SECRET in by_entity else findings)

    def _too_long(self, document: "_Document", doc: int) -> Failure | None:
        for origin, limit in self._limits:
            if document.chars > limit:
                return Failure(
                    doc, origin, f"reads at most {limit} characters, not {document.chars}"
                )
        return None

    def _opened(self, data: bytes, only_at: tuple[int, ...] | None) -> "_Document":
        """The document, with what is known of it if it was among the last."""
        asked = data, only_at
        document = self._last.pop(asked, None)
        if document is None:
            document = _Document(data)
            if len(self._last) >= LAST:
                del self._last[next(iter(self._last))]
        self._last[asked] = document
        return document

    def _find(self, index: int, document: "_Document", work: _Work) -> str:
        """Have in the document what one recogniser finds. Returns why it could not be found."""
        recognizer = self.recognizers[index]
        began = perf_counter()
        try:
            spans = self._run(recognizer, document, work)
        except TimeoutError:
            spans = None
        except Exception as error:  # noqa: BLE001 (whatever it is, the document is rejected)
            return f"raised {type(error).__name__}"
        took = perf_counter() - began
        self.seconds[recognizer.origin] += took
        if spans is None or took > self.config.max_seconds:
            return f"{TIMED_OUT} {self.config.max_seconds} seconds"
        document.found[index] = spans
        return ""

    def _plan(self, document: "_Document", only_at: tuple[int, ...] | None) -> dict[int, _Work]:
        """For each recogniser that can match, by index: the blocks in which it can, and with which
        of its expressions. Of those that keep to a line, the blocks that hold one of `only_at`.
        """
        plan: dict[int, _Work] = {}
        for block in self._lines.blocks(document.data, document.image):
            if only_at is None or _has_one(only_at, block.start, block.start + len(block.text)):
                self._add(plan, block)
        if self._whole.probes:
            self._add(plan, self._whole.block(0, document.data, document.text, document.image))
        if self._always:
            whole = Block(0, document.text, frozenset(), {})
            for index in self._always:
                plan[index] = [(whole, ())]
        return plan

    def _add(self, plan: dict[int, _Work], block: Block) -> None:
        here: dict[int, tuple[int, ...]] | None = block.known.get(_PLAN)
        if here is None:
            here = {}
            for number in sorted(block.fired):
                index, expression = self._owners[number]
                here[index] = (*here.get(index, ()), expression)
            block.known[_PLAN] = here
        for index, expressions in here.items():
            plan.setdefault(index, []).append((block, expressions))

    def _run(self, recognizer: Recognizer, document: "_Document", work: _Work) -> list[Span]:
        """The findings of one recogniser that reach their threshold, in the document."""
        if (
            isinstance(recognizer, Phones)
            and recognizer.may_give_up
            and not few_failures(document.chars, document.digits)
        ):
            phones = recognizer.find_whole(document.text)
            if self._may_raise(recognizer, document):
                phones = self._raised(recognizer, document, phones)
            return self._above_threshold(recognizer, phones)
        spans: list[Span] = []
        began = perf_counter()
        for block, fired in work:
            if perf_counter() - began > self.config.max_seconds:
                raise TimeoutError
            if recognizer.weak and not self._may_raise(recognizer, document):
                fired = tuple(number for number in fired if number not in recognizer.weak)
                if not fired:
                    continue
            found = self._in_block(recognizer, document, block, fired)
            if (
                found
                and self._may_raise(recognizer, document)
                and document.may_raise(recognizer.context, block)
            ):
                found = self._raised(recognizer, document, found)
            spans += found
        if isinstance(recognizer, (Secrets, Addresses)):
            spans = recognizer.whole(document.text, spans)
        return self._above_threshold(recognizer, spans)

    def _in_block(
        self, recognizer: Recognizer, document: "_Document", block: Block, fired: tuple[int, ...]
    ) -> list[Span]:
        """What a recogniser finds in a block, in offsets of the document, as if alone there."""
        if recognizer.weak:
            fired = self._that_may_count(recognizer, document, block, fired)
            if not fired:
                return []
        found: list[Span] | None = block.known.get((recognizer, fired))
        if found is None:
            found = block.known[recognizer, fired] = recognizer.find(block.text, fired)
        start = block.start
        return [Span(a + start, b + start, score) for a, b, score in found]

    def _may_raise(self, recognizer: Recognizer, document: "_Document") -> bool:
        """Whether a word of its context may be in the document, and counts."""
        context = recognizer.context if self.config.context else []
        if not context:
            return False
        known = document.may_raise_of.get(recognizer)
        if known is None:
            known = document.may_raise_of[recognizer] = document.may_hold(context)
        return known

    def _that_may_count(
        self, recognizer: Recognizer, document: "_Document", block: Block, fired: tuple[int, ...]
    ) -> tuple[int, ...]:
        """`fired` without weak expressions, if no context word can raise their findings here."""
        if not recognizer.weak.intersection(fired):
            return fired
        near = document.near(block)
        if any(term in near for term in recognizer.context):
            return fired
        return tuple(expression for expression in fired if expression not in recognizer.weak)

    def _raised(
        self, recognizer: Recognizer, document: "_Document", spans: list[Span]
    ) -> list[Span]:
        """The spans with the score that the words around each give it."""
        whole = not self.config.compatible
        raised = []
        for span in spans:
            if span.score < 1:
                words = words_around(document.text, span.start)
                score = boosted(span.score, recognizer.context, words, whole=whole)
                span = Span(span.start, span.end, score)
            raised.append(span)
        return raised

    def _above_threshold(self, recognizer: Recognizer, spans: list[Span]) -> list[Span]:
        threshold = self.config.threshold_of(recognizer.entity)
        return [span for span in spans if span.score >= threshold]

    def _not_allowed(
        self, entity: str, found: list[tuple[Span, str]], document: "_Document"
    ) -> Iterator[Finding]:
        origins = dict(reversed(found))
        plausible = None if self.config.compatible else PLAUSIBLE.get(entity)
        for span in without_duplicates(span for span, _ in found):
            if self.allowed(document.text[span.start : span.end]):
                continue
            if plausible is None or plausible(document.text, span.start, span.end):
                yield Finding(span.start, span.end, entity, span.score, origins[span])

    def allowed(self, text: str) -> bool:
        """Whether a text is on the configuration's allow lists, so that it is no finding."""
        if text in self._allow:
            return True
        return bool(self._allow_expression and self._allow_expression.search(text))


def _has_one(ordered: tuple[int, ...], start: int, end: int) -> bool:
    """Whether one of the numbers lies in [start, end)."""
    at = bisect_left(ordered, start)
    return at < len(ordered) and ordered[at] < end


class _Document:
    """One document; decoded when something first asks for it. `found` has what recognisers found
    that ran, by index.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.plan: dict[int, _Work] | None = None
        self.found: dict[int, list[Span]] = {}
        self.may_raise_of: dict[Recognizer, bool] = {}
        """By recogniser, of those that were asked: whether a word of its context may be here."""
        self._text: str | None = None
        self._image: bytes | None = None
        self._lower: str | None = None
        self._near: dict[tuple[int, int], str] = {}

    @property
    def text(self) -> str:
        if self._text is None:
            self._text = self.data.decode()
        return self._text

    @property
    def image(self) -> bytes:
        """What the prefilter reads."""
        if self._image is None:
            self._image = self.data if self.data.isascii() else image_of(self.text)
        return self._image

    def may_hold(self, terms: Iterable[str]) -> bool:
        """Whether one of the terms, in lower case, may be in a word of the text in any case."""
        if self._lower is None:
            self._lower = self.text.lower()
        lower = self._lower
        # What a letter beyond ASCII is in lower case may depend on those beside it.
        return any(not term.isascii() or term in lower for term in terms)

    def near(self, block: Block) -> str:
        """What holds the words that count for findings in a block, in lower case."""
        start, end = block.start, block.start + len(block.text)
        if (start, end) not in self._near:
            self._near[start, end] = words_near(self.text, start, end)
        return self._near[start, end]

    def may_raise(self, terms: Iterable[str], block: Block) -> bool:
        """Whether one of the terms, in lower case, may be among the words that count there."""
        near = self.near(block)
        return any(not term.isascii() or term in near for term in terms)

    @property
    def chars(self) -> int:
        return len(self.data) if self.data.isascii() else len(self.text)

    @property
    def digits(self) -> int:
        if self.data.isascii():
            return len(self.data) - len(self.data.translate(None, b"0123456789"))
        return count_digits(self.text)


def _recognizers(config: Config) -> tuple[Recognizer, ...]:
    loaded = [recognizers.load(entry, config) for entry in config.entries]
    loaded += [recognizers.of_pattern(pattern, config) for pattern in config.patterns]
    made: list[Recognizer] = [recognizer for recognizer in loaded if recognizer is not None]
    if config.imported:
        from unrote.pii import own_recognizers  # noqa: PLC0415 (imports a user's modules)

        for path in config.imported:
            made += own_recognizers.load(path, config)
    if config.secrets:
        made.extend(secrets.recognizers(config))
    if config.finds_addresses:
        made.append(Addresses(config))
    if config.name_types:
        from unrote.pii.names import recognizers as names  # noqa: PLC0415 (loads the tagger)

        made += names.recognizers(config.name_types)
    return tuple(made)
