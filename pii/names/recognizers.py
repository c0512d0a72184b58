"""The tagger as recognisers (unrote.pii.recognizers), one for each type; it reads a text once."""

from collections.abc import Sequence

import numpy as np

from unrote.corpus.text import bytes_view, chars_at
from unrote.pii.catalogue import NAME_TYPES, PERSON, POSSIBLE_PERSON
from unrote.pii.names.columns import in_columns
from unrote.pii.names.decoder import KINDS
from unrote.pii.names.model import Tagger, tagger
from unrote.pii.recognizers import Expression, Span

ORIGIN = "names"

CERTAIN = 0.75
"""The score from which what may be a person is one: README.md says how precise that is."""

LIKELY = 0.5
"""The score from which a place or an organization counts; POSSIBLE_PERSON begins there too."""


class _Reader:
    """What the tagger found in the last text."""

    def __init__(self, tagger: Tagger) -> None:
        self._tagger = tagger
        self._last: tuple[str, dict[str, list[Span]]] | None = None

    def find(self, text: str) -> dict[str, list[Span]]:
        if self._last is None or self._last[0] is not text:
            self._last = (text, self._found(text))
        return self._last[1]

    def _found(self, text: str) -> dict[str, list[Span]]:
        data = bytes_view(text.encode())
        names = self._tagger.find(data)
        counts = np.flatnonzero(names.scores >= LIKELY)
        spans: dict[str, list[Span]] = {}
        starts, ends = names.starts[counts], names.ends[counts]
        if not text.isascii():
            edges = chars_at(data, 0, np.column_stack((starts, ends)).ravel())
            starts, ends = edges[::2], edges[1::2]
        rows = zip(starts, ends, names.kinds[counts], names.scores[counts], strict=True)
        for start, end, kind, score in rows:
            spans.setdefault(KINDS[kind], []).append(Span(int(start), int(end), float(score)))
        for one in in_columns(text, spans.pop(PERSON, []), CERTAIN):
            type_ = PERSON if one.score >= CERTAIN else POSSIBLE_PERSON
            spans.setdefault(type_, []).append(one)
        return spans


class NameRecognizer:
    """The names of one type that the tagger finds."""

    within_lines = False
    expressions: tuple[Expression, ...] = ()
    weak: frozenset[int] = frozenset()
    origin = ORIGIN

    def __init__(self, entity: str, reader: _Reader) -> None:
        self.entity = entity
        self.context: list[str] = []
        self._reader = reader

    def find(self, text: str, fired: Sequence[int]) -> list[Span]:  # noqa: ARG002
        return self._reader.find(text).get(self.entity, [])


def recognizers(types: Sequence[str] = NAME_TYPES) -> list[NameRecognizer]:
    """Of these types; they share one reading of a text."""
    reader = _Reader(tagger())
    return [NameRecognizer(type_, reader) for type_ in types]
