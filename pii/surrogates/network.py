"""Surrogates of addresses on a network: hosts, e-mail addresses, URLs, IP addresses."""

import ipaddress
import re

from unrote.pii.keys import Key
from unrote.pii.surrogates.codes import DIGITS, ESCAPE, Alphabets, code_at, domain_size, index_of
from unrote.pii.surrogates.family import Family, normalised
from unrote.pii.surrogates.keyed_subset import Subset, check_bits

# Hosts: a pronounceable label below example.com, example.net or example.org (RFC 2606).

_CONSONANTS = "bcdfghjklmnprstvwz"
_VOWELS = "aeiou"
_DOMAINS = ("example.com", "example.net", "example.org")
_HOST = re.compile(r"([a-z]{8,12})\.(example\.(?:com|net|org))", re.IGNORECASE)
_SHORTEST, _LONGEST = 8, 12


def word(length: int) -> Alphabets:
    """The alphabets of a pronounceable word of so many letters."""
    return [_VOWELS if at % 2 else _CONSONANTS for at in range(length)]


def _label_subset(key: Key, alphabets: Alphabets) -> Subset:
    size = domain_size(alphabets)
    return Subset(key, "host", size, check_bits(size, reserved=True))


def host(key: Key, original: str, *seed: str | int) -> str:
    """A reserved host name whose label is about as long as the original's longest one."""
    longest = max(map(len, original.split(".")), default=0)
    alphabets = word(min(max(longest, _SHORTEST), _LONGEST))
    label = code_at(_label_subset(key, alphabets).drawn(*seed), alphabets)
    ending = f"example.{original.rpartition('.')[2].lower()}"
    if ending not in _DOMAINS:
        ending = _DOMAINS[key.number(len(_DOMAINS), "host ending", *seed)]
    name = f"{label}.{ending}"
    return name.upper() if original.isupper() else name


def is_host(key: Key, name: str) -> bool:
    match = _HOST.fullmatch(name)
    if match is None:
        return False
    label = match[1].lower()
    alphabets = word(len(label))
    index = index_of(label, alphabets)
    return index is not None and _label_subset(key, alphabets).contains(index)


def reworded(key: Key, original: str, *seed: str | int) -> str:
    """A text with other words and numbers: as long, in the same case, with the same separators.

    Equal words become equal words, and escapes stay. It carries no check of its own.
    """

    def other(match: re.Match[str]) -> str:
        run = match[0]
        if run[0] in "%&\\":
            return run
        alphabets = [DIGITS] * len(run) if run.isdigit() else word(len(run))
        out = "".join(
            code_at(key.number(domain_size(part), "word", *seed, run.lower(), at), part)
            for at in range(0, len(run), 32)
            if (part := alphabets[at : at + 32])
        )
        return "".join(b.upper() if a.isupper() else b for a, b in zip(run, out, strict=True))

    return _RUNS.sub(other, original)


_RUNS = re.compile(ESCAPE.pattern + r"|[^\W\d_]+|\d+", re.DOTALL)


# E-mail addresses. The host is the whole address's: one for everybody at a large provider would be
# the most frequent string of the corpus.


def _email_draw(key: Key, value: str, seed: str, attempt: int) -> str | None:
    if not _is_email(value):
        return None
    local, _, domain = value.rpartition("@")
    return f"{reworded(key, local, 'local', seed, attempt)}@{host(key, domain, seed, attempt)}"


def _email_recognizes(key: Key, value: str) -> bool:
    return _is_email(value) and is_host(key, value.rpartition("@")[2])


def _is_email(value: str) -> bool:
    local, _, domain = value.rpartition("@")
    return bool(local and domain)


EMAIL = Family("email", _email_draw, _email_recognizes, _is_email)


# URLs: another host, and other words where users, identifiers and parameters stand.

_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*:(?://)?|//)?(?:(?P<user>[^/?#@\s]*)@)?(?P<www>www\d?\.)?"
    r"(?P<host>\[[0-9a-f:.%]+\]|[^/?#@:\s]+)(?P<port>:\d+)?(?P<path>/[^?#]*)?"
    r"(?P<query>\?[^#]*)?(?P<fragment>#.*)?",
    re.IGNORECASE | re.DOTALL,
)
_PERSONAL = re.compile(
    r"(?<=/)(?P<lead>"
    r"(?:u|users?|profiles?|people|in|authors?|members?|accounts?|channel|home)/|[~@])(?P<name>[^/]+)|(?P<number>\d{4,})",
    re.IGNORECASE,
)


def _url_parts(value: str) -> dict[str, str] | None:
    match = _URL.fullmatch(value)
    if match is None or ("." not in match["host"] and not match["host"].startswith("[")):
        return None
    return match.groupdict(default="")


def _url_host(key: Key, name: str, seed: str, attempt: int) -> str | None:
    if name.startswith("["):
        inner = _ip_draw(key, name[1:-1], seed, attempt)
        return None if inner is None else f"[{inner}]"
    return _ip_draw(key, name, seed, attempt) or host(key, name, seed, attempt)


def _url_draw(key: Key, value: str, seed: str, attempt: int) -> str | None:
    parts = _url_parts(value)
    if parts is None:
        return None
    # Pages of one host stay together: the seed is the host, but for what a stand-in is made of.
    shared = normalised(parts["host"]) if normalised(value) == seed else seed
    name = _url_host(key, parts["host"], shared, attempt)
    if name is None:
        return None

    def other(text: str) -> str:
        return reworded(key, text, "url", seed, attempt)

    def personal(match: re.Match[str]) -> str:
        if match["number"]:
            return other(match["number"])
        return match["lead"] + other(match["name"])

    query = re.sub(r"(?<==)[^&;]+|(?<=\?)[^=&;]+(?![^&;]*=)", lambda m: other(m[0]), parts["query"])
    user = other(parts["user"]) + "@" if parts["user"] else ""
    return "".join(
        (
            parts["scheme"],
            user,
            parts["www"],
            name,
            parts["port"],
            _PERSONAL.sub(personal, parts["path"]),
            query,
            other(parts["fragment"]),
        )
    )


def _url_recognizes(key: Key, value: str) -> bool:
    parts = _url_parts(value)
    if parts is None:
        return False
    name = parts["host"].strip("[]")
    return is_host(key, name) or _ip_recognizes(key, name)


URL = Family("url", _url_draw, _url_recognizes, lambda value: _url_parts(value) is not None)


# IP addresses. Version 4: 240.0.0.0/4, reserved for future use (RFC 1112, section 4), without the
# broadcast address; the blocks for documentation hold 768 addresses. Version 6: 2001:db8::/32 (RFC
# 3849). The low bits are the index of the address.

_V4_BASE = 240 << 24
_V4_SIZE = (1 << 28) - 1
_V6_BASE = 0x20010DB8 << 96
_V6_SIZE = 1 << 96
_V6_SHORT_SIZE = 1 << 64
_MIDDLE = ((1 << 32) - 1) << 32
_IP = re.compile(
    r"(?P<address>[0-9a-f:.]+)(?P<zone>%\w+)?(?P<rest>/\d+|(?<=\d):\d+)?", re.IGNORECASE
)
_V4_PORT = re.compile(r"(?P<address>\d+\.\d+\.\d+\.\d+)(?P<zone>)(?P<rest>:\d+)")


def _v4_subset(key: Key) -> Subset:
    return Subset(key, "ipv4", _V4_SIZE, check_bits(_V4_SIZE, reserved=True))


def _v6_subset(key: Key, short: bool) -> Subset:
    size = _V6_SHORT_SIZE if short else _V6_SIZE
    return Subset(key, "ipv6", size, check_bits(size, reserved=True))


def _address(
    value: str,
) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, re.Match[str]] | None:
    match = _V4_PORT.fullmatch(value) or _IP.fullmatch(value)
    if match is None:
        return None
    try:
        return ipaddress.ip_address(match["address"]), match
    except ValueError:
        return None


def _ip_canonical(value: str) -> str:
    found = _address(value)
    return normalised(value) if found is None else str(found[0])


def _ip_draw(key: Key, value: str, seed: str, attempt: int) -> str | None:
    found = _address(value)
    if found is None:
        return None
    address, match = found
    rest = (match["zone"] or "") + (match["rest"] or "")
    if isinstance(address, ipaddress.IPv4Address):
        return str(ipaddress.IPv4Address(_V4_BASE + _v4_subset(key).drawn(seed, attempt))) + rest
    if address.ipv4_mapped is not None:
        mapped = ipaddress.IPv4Address(_V4_BASE + _v4_subset(key).drawn(seed, attempt))
        return f"::ffff:{mapped}{rest}"
    short = "::" in value
    index = _v6_subset(key, short).drawn(seed, attempt)
    if short:  # two groups, a gap, two groups
        index = (index >> 32) << 64 | index & 0xFFFFFFFF
    other = ipaddress.IPv6Address(_V6_BASE + index)
    out = str(other) if short else other.exploded
    return (out.upper() if any(map(str.isupper, value)) else out) + rest


def _ip_recognizes(key: Key, value: str) -> bool:
    found = _address(value)
    if found is None:
        return False
    address, _ = found
    mapped = address if isinstance(address, ipaddress.IPv4Address) else address.ipv4_mapped
    if mapped is not None:
        index = int(mapped) - _V4_BASE
        return 0 <= index < _V4_SIZE and _v4_subset(key).contains(index)
    index = int(address) - _V6_BASE
    if not 0 <= index < _V6_SIZE:
        return False
    if index & _MIDDLE:
        return _v6_subset(key, short=False).contains(index)
    return _v6_subset(key, short=True).contains((index >> 64) << 32 | index & 0xFFFFFFFF)


IP = Family(
    "ip", _ip_draw, _ip_recognizes, lambda value: _address(value) is not None, _ip_canonical
)
