"""The secret behind surrogates and fingerprints.

All of it is HMAC-SHA-256 (RFC 2104, FIPS 198-1) under one key. Each use names its purpose, and the
parts of a message are told apart by their lengths, so that no two uses share a message.

The secret comes from the environment or from a file. It goes to workers inside the pickle of a
`Key`, and nowhere else: not into a log, a manifest, a table or an exception.
"""

import hashlib
import hmac
import logging
import os
import secrets
import stat
from collections.abc import Mapping
from copy import copy
from functools import lru_cache
from pathlib import Path
from typing import NoReturn

from unrote.corpus.errors import ConfigError

KEY_VARIABLE = "UNROTE_KEY"
"""The environment variable that holds the secret; it outranks `pii.key_file`."""

MIN_LENGTH = 32
"""Characters of a secret: 128 bits, if they are hexadecimal digits."""

MIN_DISTINCT = 8
"""Distinct characters of a secret. 32 random hexadecimal digits have fewer once in 10**7."""

VALUES = 1 << 14
"""Values, last seen, whose fingerprints are not computed again."""

FRESH_KEY_NOTICE = (
    "no key is given for surrogates and fingerprints: this run makes one and forgets it. Another "
    "run will have other surrogates, and whoever continues this one, if it is stopped, looks for "
    "personal data again. For the same ones in every run: (umask 077; openssl rand -hex 32 > "
    f"unrote.key), then pii.key_file = 'unrote.key' or {KEY_VARIABLE}."
)
"""What a user is told when a run makes its own key."""

_log = logging.getLogger(__name__)


def packed(*parts: str | int) -> bytes:
    """Parts as one message; no others give the same, nor do the beginnings of two sequences."""
    out: list[bytes] = []
    for part in parts:
        encoded = str(part).encode("utf-8", "surrogatepass")
        out += (len(encoded).to_bytes(4, "big"), encoded)
    return b"".join(out)


class Key:
    """A secret and what is computed with it. Its text form shows its fingerprint only."""

    __slots__ = ("_inner", "_outer", "_secret", "shapes")

    _inner: "hashlib._Hash"
    _outer: "hashlib._Hash"
    _secret: bytes
    shapes: Mapping[str, str]
    """By type the shapes of surrogates that a configuration gives (pii.surrogates.shapes)."""

    def __init__(self, secret: bytes) -> None:
        self.__setstate__((hmac.digest(secret, b"unrote key 1", "sha256"), {}))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a key cannot be changed: {name}")

    def __getstate__(self) -> tuple[bytes, Mapping[str, str]]:
        return self._secret, self.shapes

    def __setstate__(self, state: tuple[bytes, Mapping[str, str]]) -> None:
        secret, shapes = state
        object.__setattr__(self, "_secret", secret)
        object.__setattr__(self, "shapes", shapes)
        # SHA-256 behind either pad: `hmac.digest` makes it anew, which takes twice as long.
        padded = secret.ljust(hashlib.sha256().block_size, b"\0")
        object.__setattr__(self, "_inner", hashlib.sha256(padded.translate(hmac.trans_36)))
        object.__setattr__(self, "_outer", hashlib.sha256(padded.translate(hmac.trans_5C)))

    def __repr__(self) -> str:
        return f"<Key {self.fingerprint()}>"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Key)
            and hmac.compare_digest(self._secret, other._secret)
            and self.shapes == other.shapes
        )

    def __hash__(self) -> int:
        return hash(self._secret)

    @classmethod
    def of(cls, secret: str | bytes) -> "Key":
        """The key of a secret. Raises ConfigError for one that is short or has few distinct
        characters.
        """
        content = secret.encode() if isinstance(secret, str) else secret
        return cls(_checked(content.strip(), "the secret that was given"))

    def with_shapes(self, shapes: Mapping[str, str]) -> "Key":
        """The same key, where surrogates of these types have a shape of their own."""
        if shapes == self.shapes:
            return self
        key = copy(self)
        object.__setattr__(key, "shapes", shapes)
        return key

    def mac(self, purpose: str, *parts: str | int) -> bytes:
        """32 bytes that nobody without the key can tell from random ones."""
        return self._digest(packed(purpose, *parts))

    def number(self, bound: int, purpose: str, *parts: str | int) -> int:
        """A number below `bound`, at most 2**192; no value is likelier than another by 2**-64."""
        return int.from_bytes(self.mac(purpose, *parts), "big") % bound

    def number_behind(self, bound: int, head: bytes, part: int) -> int:
        """`number` of parts of which all but the last, which is one of a few digits, are in `head`,
        `packed`.
        """
        last = b"%d" % part
        digest = self._digest(b"%b\0\0\0%c%b" % (head, len(last), last))
        return int.from_bytes(digest, "big") % bound

    def _digest(self, message: bytes) -> bytes:
        """HMAC-SHA-256 (RFC 2104) of a message."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()

    def fingerprint(self) -> str:
        """16 hexadecimal digits that say which key was used, for a manifest."""
        return self.mac("key fingerprint").hex()[:16]

    def value_fingerprint(self, value: str, type: str) -> str:  # noqa: A002 (the field's name)
        """128 bits as 32 hexadecimal digits: equal values of a type have equal fingerprints."""
        return _value_fingerprint(self, value, type)


@lru_cache(maxsize=VALUES)
def _value_fingerprint(key: Key, value: str, type: str) -> str:  # noqa: A002
    return key.mac("value", type, value).hex()[:32]


def load_key(key_file: str = "") -> Key | None:
    """The key of `UNROTE_KEY` or, where that is not set, of `key_file`. None if neither is given.

    White space around the secret does not count. Raises ConfigError if the file cannot be read or
    the secret is short or has few distinct characters; the message does not show it.
    """
    if secret := os.environ.get(KEY_VARIABLE, "").strip():
        return Key(
            _checked(secret.encode("utf-8", "surrogateescape"), f"the variable {KEY_VARIABLE}")
        )
    if not key_file:
        return None
    path = Path(key_file)
    try:
        mode = path.stat().st_mode
        content = path.read_bytes().strip()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(
            f"pii.key_file = {key_file!r} cannot be read ({reason}): name a file that holds at "
            f"least {MIN_LENGTH} characters, or set {KEY_VARIABLE}"
        ) from None
    key = Key(_checked(content, f"pii.key_file = {key_file!r}"))
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        _log.warning(
            "pii.key_file = %r can be read by others (mode %03o): chmod 600 it",
            key_file,
            stat.S_IMODE(mode),
        )
    return key


def fresh_key() -> Key:
    """A new random key, which dies with the run. Tell the user `FRESH_KEY_NOTICE`."""
    return Key(secrets.token_bytes(32))


def _checked(secret: bytes, source: str) -> bytes:
    if len(secret) < MIN_LENGTH:
        raise ConfigError(
            f"{source} holds {len(secret)} characters: a key needs at least {MIN_LENGTH}, such "
            f"as those of `openssl rand -hex 32`"
        )
    if len(set(secret)) < MIN_DISTINCT:
        raise ConfigError(
            f"{source} holds {len(set(secret))} distinct characters: a key needs at least "
            f"{MIN_DISTINCT}, such as those of `openssl rand -hex 32`"
        )
    return secret
