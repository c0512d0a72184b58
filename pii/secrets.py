"""API keys, tokens and private keys, by the detectors of detect-secrets.

detect-secrets reads a line and gives back the secret's value. So each detector reads the lines in
which one of its expressions was found, and every occurrence of the value in that line is a finding.
A private key is found by its first line; the finding runs to the end of the key.

Only detectors of a certain shape run: not the one that looks for words such as "password", nor
those that measure entropy, which in prose and documentation find little but examples and hashes.
Nothing is verified: no detector may reach a network. Lines that say `pragma: allowlist secret` are
read as any other.
"""

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import regex
from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.plugins.base import RegexBasedDetector
from detect_secrets.plugins.ip_public import IPPublicDetector
from detect_secrets.plugins.keyword import KeywordDetector
from detect_secrets.plugins.private_key import PrivateKeyDetector

from pii.config import SECRET
from pii.recognizers import Expression, Span

SCORE = 1.0
LONGEST_KEY = 65_536
"""Code points. A key's end is looked for this far."""

_key_end = regex.compile(r"-----END [^\n]*?-----|\nPrivate-MAC:[^\n]*")
_key_line = regex.compile(r"\n[^\S\n]*(?:[A-Za-z0-9+/=]{16,}|[A-Za-z-]+: [^\n]*)?(?=\r?\n|\r?\Z)")


def detectors() -> list["Secrets"]:
    """One recogniser per detector, by name."""
    classes: Any = get_mapping_from_secret_type_to_class().values()
    left_out = (IPPublicDetector, KeywordDetector)
    made = [
        found
        for found in classes
        if issubclass(found, RegexBasedDetector)
        and not inspect.isabstract(found)
        and found not in left_out
    ]
    return [Secrets(found()) for found in sorted(made, key=lambda one: one.__name__)]


class Secrets:
    """One detector of detect-secrets as a recogniser (pii.recognizers)."""

    entity = SECRET
    within_lines = True
    weak: frozenset[int] = frozenset()

    def __init__(self, detector: Any) -> None:
        self.origin = type(detector).__name__
        self.context: list[str] = []
        self.expressions = tuple(
            Expression(expression.pattern, expression.flags & regex.I | regex.M)
            for expression in detector.denylist
        )
        self._detector = detector
        self.is_key = isinstance(detector, PrivateKeyDetector)

    def find(self, text: str, fired: Sequence[int]) -> list[Span]:  # noqa: ARG002
        start, spans = 0, []
        for line in text.split("\n"):
            for value in set(self._detector.analyze_string(line)):
                spans += [
                    Span(start + at, start + at + len(value), SCORE) for at in _places(value, line)
                ]
            start += len(line) + 1
        return spans

    def extend(self, text: str, span: Span) -> Span:
        """In the whole document: for the first line of a private key, all of the key."""
        if not self.is_key:
            return span
        start = span.start - 5 if text.startswith("-----", span.start - 5) else span.start
        reach = min(len(text), span.end + LONGEST_KEY)
        end = _key_end.search(text, span.end, reach)
        if end is not None and text.find("-----BEGIN", span.end, end.start()) < 0:
            return Span(start, end.end(), span.score)
        at = text.find("\n", span.end, reach)
        while at >= 0 and (line := _key_line.match(text, at, reach)) is not None:
            span = Span(start, line.end(), span.score)
            at = line.end() if line.end() < len(text) and text[line.end()] == "\n" else -1
        return Span(start, span.end, span.score)


def _places(value: str, line: str) -> Iterator[int]:
    at = line.find(value) if value else -1
    while at >= 0:
        yield at
        at = line.find(value, at + len(value))
