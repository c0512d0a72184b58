"""Changes of bytes that a fuzzer makes: drawn here at random, and by hypothesis in the tests."""

import random
from collections.abc import Iterable
from dataclasses import dataclass

KINDS = ("set", "flip", "insert", "delete", "repeat", "cut", "swap")

TOKENS = (
    *(b"\x00", b"\xff", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\x80\x80\x80\x80\x01"),
    *(b"\x00" * 9, b"\xff\xff\xff\xff\xff\xff\xff\x7f", b"\xed\xa0\x80", b"\xef\xbb\xbf"),
    *(b"\n", b"\r", b"\r\n", b"\r\n\r\n", b'"', b'""', b"\\", b"\\u0000", b"\\ud800", b"\\"),
    *(b"{", b"}", b"[", b"]", b",", b":", b"[" * 3000, b'{"a":' * 3000, b"\t", b" ", b"#", b"="),
    *(b"null", b"true", b"NaN", b"-Infinity", b"1e999", b"-1", b"0", b"1e-5000", b"9" * 5000),
    *(b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\x00", b"BZh9", b"PAR1", b"ARROW1\x00\x00"),
    *(b"WARC/1.0\r\n", b"Content-Length: ", b"Content-Length: 99999999999999999999\r\n"),
    *(b"../../../x", b"/etc/passwd", b"<script>alert(1)</script>", b"{{ 7 * 7 }}", b"\x1b[31m"),
    *("\u202e".encode(), "\u2028".encode(), "\U0001f468\u200d\U0001f469".encode(), b"text", b"id"),
)
"""What parsers stumble over."""


@dataclass(frozen=True)
class Change:
    """One change: `kind` of KINDS, where (a share of the bytes, 0 to 1), how many bytes, and what
    is put there.
    """

    kind: str
    where: float
    size: int
    put: bytes


def changed(content: bytes, changes: Iterable[Change]) -> bytes:
    """`content` with the changes, one after another."""
    for one in changes:
        at = int(one.where * len(content))
        before, here, after = content[:at], content[at : at + one.size], content[at + one.size :]
        if one.kind == "set":
            content = before + one.put + content[at + len(one.put) :]
        elif one.kind == "flip" and at < len(content):
            content = before + bytes([content[at] ^ 1 << one.size % 8]) + content[at + 1 :]
        elif one.kind == "insert":
            content = before + one.put + here + after
        elif one.kind == "delete":
            content = before + after
        elif one.kind == "repeat":
            content = before + here * 3 + after
        elif one.kind == "cut":
            content = before
        elif one.kind == "swap":
            content = before + after[: one.size] + here + after[one.size :]
    return content


def drawn(chance: random.Random) -> list[Change]:
    """A few changes; more of them near the ends, where magic numbers and footers are."""
    found = []
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        where = chance.random()
        where = chance.choice((where, where, where**8, 1 - where**8))
        put = chance.choice((chance.choice(TOKENS), chance.randbytes(chance.choice((1, 4, 30)))))
        size = chance.choice((1, 2, 4, 8, 100))
        found.append(Change(chance.choice(KINDS), where, size, put))
    return found
