"""Whether what a rule's pattern matched is a secret: entropy, checksums, and words that say no."""

import base64
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import pairwise
from math import log2
from typing import Any, NamedTuple

from unrote.pii.secret_templates import github_crc32


class Candidate(NamedTuple):
    """match: of the pattern. value: the secret without its prefix. start, end: of the secret."""

    match: Any
    value: str
    start: int
    end: int


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


def entropy(value: str) -> float:
    """Shannon's, of a value's characters, in bits per character; at most log2 of its length."""
    size = len(value)
    counts = Counter(value).values()
    return -sum(count / size * log2(count / size) for count in counts) if size else 0.0


_filler = re.compile(
    r"(?i:example|x{5}|y{6}|\*{3}|\.{3}|placeholder|redacted|aws4_request"
    r"|your[-_]?(?:api|own|token|key|secret|pass|access|\w{2,12}[-_](?:key|token|here))"
    r"|change[-_]?(?:me|this|it)|replace[-_]?(?:me|with|this)|(?:api|token|key|secret)[-_]?here)"
)
_run = 5
"""Characters: so many of one kind, or neighbours in the alphabet, that nobody draws."""


def is_filler(value: str) -> bool:
    """Whether a value only shows where a secret would stand: xxxxx, YOUR_API_KEY, 123456789."""
    if _filler.search(value):
        return True
    filled = length = 0
    for before, after in pairwise(value):
        length = length + 1 if ord(after) - ord(before) in (0, 1) else 0
        if length >= _run - 1:
            filled += _run if length == _run - 1 else 1
    return filled * 2 >= len(value)


def _kinds(value: str) -> tuple[int, int, int]:
    """Capital letters, small ones and digits."""
    return (
        sum(map(str.isupper, value)),
        sum(map(str.islower, value)),
        sum(map(str.isdigit, value)),
    )


def is_mixed(value: str) -> bool:
    """Whether two of capitals, small letters and digits come at least twice, and it is no name."""
    upper, *_ = kinds = _kinds(value)
    if sorted(kinds)[1] < 2:
        return False
    return upper * 4 > len(value) or not _worded.fullmatch(value)


_words = _set(
    "password passwort passwd passphrase pass pwd secret token tokens key keys "
    "apikey credential credentials example sample dummy test testing demo default none null "
    "undefined true false user username "
    "admin root my your the this that here value string text name placeholder changeme hidden "
    "insert enter replace with real some any new old foo bar baz todo app api access auth client "
    "server bearer basic header type id field prompt env environ getenv config settings process "
    "super long and for of to is not in on at be"
)
_word = re.compile("|".join(sorted(_words, key=lambda one: (-len(one), one))), re.IGNORECASE)
_SEP = "[-_./:@ ]"
_WORD = "(?:[a-z]++|[A-Z][a-z]++|[A-Z]{2,}+(?![a-z]))"
_worded = re.compile(rf"_*{_WORD}(?:{_SEP}{{0,2}}[A-Z][a-z]++|{_SEP}{{1,2}}{_WORD})*+\d{{0,4}}_*")
"""Words, joined as those of identifiers are; a number may end them."""
_PART = r"(?:[A-Z]?[a-z]*+(?:[A-Z][a-z]++)*+|[A-Z]++)\d*+"
_parted = re.compile(rf"{_PART}(?:{_SEP}{_PART})++")
"""Words and short numbers with marks between them: a name, a path, an address, a date."""
_dotted = re.compile(r"[a-z_]{3,}\d*(?:\.[A-Za-z_][A-Za-z0-9_]*)+")
"""A name in a module."""
_template = re.compile(
    r"^\$[A-Za-z_]|\$[({]|%\(|%[sdr](?:\W|$)|==.|\{\{|\{[A-Za-z_.]*\}|^[<\[{(@&]|[>\])}]$|^\*+$"
)
_uri = re.compile(
    r"(?i:[a-z][a-z0-9+.-]{1,12}://|[a-z]:\\|\.{0,2}/|~/|arn:|urn:|sha\d+[-:]|\$\d[a-z]?\$)"
)


def _is_template(value: str) -> bool:
    return bool(_template.search(value))


def is_opaque(value: str) -> bool:
    """Whether a value may be a password: no template, address, identifier, word or number."""
    if len(value) < 8 or len(set(value)) < 5 or value.isdigit() or _is_template(value):
        return False
    if _uri.match(value) or _worded.fullmatch(value) or is_filler(value):
        return False
    letters = any(map(str.isalpha, value))
    if not letters or _parted.fullmatch(value) or _dotted.fullmatch(value):
        return False
    rest = _word.sub("", value)
    solid = sum(map(str.isalnum, rest))
    return solid >= 6 and (solid >= len(value) // 2) and _is_unlike_words(value)


def _is_unlike_words(value: str) -> bool:
    upper, lower, digits = _kinds(value)
    if digits:
        return True
    changes = sum(a.isupper() != b.isupper() for a, b in pairwise(value))
    marks = len(value) - upper - lower
    return (upper and lower and changes * 3 >= len(value)) or (marks >= 2 and entropy(value) > 3.3)


def _is_password(one: Candidate) -> bool:
    return entropy(one.value) >= 2.5 and is_opaque(one.value)


def _is_token(one: Candidate) -> bool:
    value = one.value
    return len(value) >= 16 and entropy(value) >= 2.8 and is_opaque(value) and len(set(value)) > 7


_SECRETIVE = _set(
    "password passwd passphrase passcode passwort pass pw pwd secret secrets token tokens "
    "credential credentials apikey authkey authtoken accesstoken secretkey pat passkey mdp"
)
_QUALIFIES_KEY = _set(
    "api access secret private auth encryption signing master account storage app client "
    "service webhook session jwt hmac crypto cipher aes deploy admin root write ingest "
    "license subscription shared salt sign security"
)
_MAY_FOLLOW = _set(
    "prod production dev development staging stage test live key keys value default new old "
    "base64 b64 v1 v2 v3 primary secondary main string str raw plain env var 1 2 3 a b"
)
_UNLIKE = _set(
    "public publishable pub hash hashed csrf next page eos bos pad starting "
    "continuation confirmation pagination sync resume cursor lifecycle idempotency"
)
_name_char = re.compile(r"[A-Za-z0-9_.-]")
_parts = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
LONGEST_NAME = 64


def names_secret(name: str) -> str:
    """What a variable of this name holds: "password", "token", or "" for neither."""
    words = [word.lower() for word in _parts.findall(name)]
    if _UNLIKE.intersection(words):
        return ""
    for index in range(len(words) - 1, -1, -1):
        word = words[index]
        joined = words[index - 1] + word if index else word
        is_key = word in ("key", "keys") and index and words[index - 1] in _QUALIFIES_KEY
        if word in _SECRETIVE or joined in _SECRETIVE or is_key:
            return "password" if word.startswith(("pass", "pw", "pwd", "mdp")) else "token"
        if word not in _MAY_FOLLOW and not word.isdigit():
            return ""
    return ""


def _is_assigned(one: Candidate) -> bool:
    """Of `name = value`: by the name, and by how the value looks."""
    text, start = one.match.string, one.match.start("name")
    low = start
    while low and start - low < LONGEST_NAME and _name_char.match(text, low - 1):
        low -= 1
    name = text[low : one.match.end("name")]
    kind = names_secret(name)
    if not kind or (_uuid.fullmatch(one.value) and not _of_uuid.search(name)):
        return False
    quoted = one.start > 0 and text[one.start - 1] in "\"'`"
    if not quoted and text[one.end : one.end + 1] in tuple("([{"):
        return False  # a call
    return _is_password(one) if kind == "password" else _is_token(one)


_uuid = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_of_uuid = re.compile("api|secret|auth|pass|access", re.IGNORECASE)
"""A token that is a UUID is mostly one that tells requests apart."""


def _has_jwt_header(token: str) -> bool:
    head = token.partition(".")[0].rstrip("=")
    try:
        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (ValueError, RecursionError):
        return False
    return isinstance(header, dict)


def _has_github_crc32(token: str) -> bool:
    body = token.rpartition("_")[2]
    return len(body) > 6 and github_crc32(body[:-6]) == body[-6:]


CHECKS: Mapping[str, Callable[[Candidate], bool]] = {
    "mixed": lambda one: is_mixed(one.value),
    "digits": lambda one: sum(map(str.isdigit, one.value)) >= 2,
    "no-template": lambda one: not _is_template(one.value),
    "password": _is_password,
    "token": _is_token,
    "assignment": _is_assigned,
    "jwt": lambda one: _has_jwt_header(one.match.group()),
}
"""By name. mixed: two of capitals, small letters and digits. digits: two at least. no-template: no
${NAME}. password, token: what may be one, of eight and of sixteen characters. assignment: the same,
by the name in the group `name`. jwt: a header in JSON."""

CHECKSUMS: Mapping[str, Callable[[str], bool]] = {"github-crc32": _has_github_crc32}
"""By name: whether a secret has the checksum that its issuer gives."""
