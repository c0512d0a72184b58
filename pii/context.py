"""Context words: Presidio's LemmaContextAwareEnhancer without a language model.

Presidio raises the score of a finding when one of its recogniser's context words occurs in the
words before it. It wants lemmas from a language model; without one it finds no words at all. Here
the lemma of a word is the word in lower case. LowerCaseNlpEngine says so to Presidio (the tests'
reference); `boosted` computes the same from the few words before a finding, where Presidio
tokenises the document and walks it from the start for each finding.

A token is a run of word characters or a run of other characters that are not white space. Words
that are not English stop words count; Presidio takes the one that holds the finding's first
character and the five before it; if that token is no such word, six before and the next one.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine
from spacy.lang.en.stop_words import STOP_WORDS

WORDS = 6
"""Words that count: the first of the finding, and Presidio's `context_prefix_count` before it."""
FACTOR = 0.35
"""What a context word adds to a score: Presidio's `context_similarity_factor`."""
MIN_SCORE = 0.4
"""The least score with a context word: Presidio's `min_score_with_context_similarity`."""
MAX_SCORE = 1.0
LOOK_BACK = 160
"""Characters before a finding in which its words are looked for first."""

_token = re.compile(r"\w+|[^\w\s]+")
_word = re.compile(r"\w+")


class LowerCaseNlpEngine(NlpEngine):  # type: ignore[misc]
    """Tokens and lower-case lemmas for Presidio's AnalyzerEngine, without a language model."""

    engine_name = "lower_case"
    is_available = True

    def load(self) -> None:
        pass

    def is_loaded(self) -> bool:
        return True

    def process_text(self, text: str, language: str) -> NlpArtifacts:
        matches = list(_token.finditer(text))
        return NlpArtifacts(
            entities=[],
            tokens=[match.group() for match in matches],
            tokens_indices=[match.start() for match in matches],
            lemmas=[match.group().lower() for match in matches],
            nlp_engine=self,
            language=language,
        )

    def process_batch(
        self,
        texts: Iterable[str],
        language: str,
        batch_size: int = 1,  # noqa: ARG002
        n_process: int = 1,  # noqa: ARG002
        **_: Any,
    ) -> Iterator[tuple[str, NlpArtifacts]]:
        return ((text, self.process_text(text, language)) for text in texts)

    def is_stopword(self, word: str, language: str) -> bool:  # noqa: ARG002
        return word in STOP_WORDS

    def is_punct(self, word: str, language: str) -> bool:  # noqa: ARG002
        return _word.match(word) is None

    def get_supported_entities(self) -> list[str]:
        return []

    def get_supported_languages(self) -> list[str]:
        return ["en"]


def words_around(text: str, start: int) -> list[str]:
    """The words that count for a finding at code point `start`, as they are written."""
    end = _end_of_token(text, start)
    back = LOOK_BACK
    while True:
        begin = max(0, end - back)
        found = _word.findall(text, begin, end)
        if begin:
            del found[:1]  # it may be the end of a longer word
        words = []
        for word in reversed(found):
            if word.lower() not in STOP_WORDS:
                words.append(word)
                if len(words) == WORDS:
                    break
        if begin == 0 or len(words) == WORDS:
            break
        back *= 4
    after = _next_word(text, start)
    return words if after is None else [*words, after.group()]


def boosted(score: float, context: list[str], words: list[str], *, whole: bool = False) -> float:
    """The score after Presidio's enhancer has seen `words`; `context` is in lower case.

    whole: a term counts as a word of its own, or of an identifier, not as a part of another word
    ("us" in "must").
    """
    joined = " ".join(words).lower()
    if not any(not term.isascii() or term in joined for term in context):
        return score  # of most findings, and this is quick
    if whole:
        words = [part for word in words for part in _parts(word)]
        raised = any(word in (term, f"{term}s") for term in context for word in words)
    else:
        raised = any(term in word.lower() for term in context for word in words)
    if raised:
        return min(max(score + FACTOR, MIN_SCORE), MAX_SCORE)
    return score


_part = re.compile(r"[A-Z]+(?![a-z])|[^\W\d_A-Z]+|[A-Z][^\W\d_A-Z]*")


def _parts(word: str) -> list[str]:
    """A word, and the words of which an identifier is made: phoneNumber, driver_license."""
    return [word.lower(), *(part.lower() for part in _part.findall(word))]


def words_near(text: str, start: int, end: int) -> str:
    """A part of the text, in lower case, with all words that count for any finding that begins in
    whole lines [start, end): none is raised if no context word is in it.
    """
    back = LOOK_BACK
    while True:
        begin = max(0, start - back)
        found = [word.lower() for word in _word.findall(text[begin:start])]
        if begin:
            found = found[1:]
        if begin == 0 or sum(word not in STOP_WORDS for word in found) >= WORDS:
            break
        back *= 4
    after = _next_word(text, end)
    return text[begin : end if after is None else after.end()].lower()


def _end_of_token(text: str, start: int) -> int:
    """The end of the token that holds `start`, or of the next one."""
    match = _token.search(text, start)
    return match.end() if match is not None else len(text)


def _next_word(text: str, start: int) -> re.Match[str] | None:
    """The first word that counts and ends behind `start`."""
    while start > 0 and _word.match(text, start - 1, start) is not None:
        start -= 1
    for match in _word.finditer(text, start):
        if match.group().lower() not in STOP_WORDS:
            return match
    return None
