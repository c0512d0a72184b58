"""Surrogates of secrets: what says whose it is stays, as "ghp_" of a token of GitHub's, and of all
else the class of each character. A checksum does not hold: no issuer takes a surrogate for his.
"""

from unrote.pii.keys import Key
from unrote.pii.secret_rules import kept_prefix
from unrote.pii.surrogates.codes import PATTERN
from unrote.pii.surrogates.family import Family


def _draw(key: Key, value: str, seed: str, attempt: int) -> str | None:
    prefix = kept_prefix(value)
    body = PATTERN.draw(key, value[len(prefix) :], seed, attempt)
    return None if body is None else prefix + body


def _recognizes(key: Key, value: str) -> bool:
    return PATTERN.recognizes(key, value[len(kept_prefix(value)) :])


SECRET = Family("secret", _draw, _recognizes, bool, PATTERN.canonical)
