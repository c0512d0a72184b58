"""One line takes time in proportion to its length, and is not rejected."""

import base64
from random import Random
from time import process_time

import pytest

pytest.importorskip("presidio_analyzer")

from unrote.pii.config import actions_for, default_config
from unrote.pii.keys import Key
from unrote.pii.scanner_cache import scanner_of
from unrote.pii.scrubbing import scrub_text

KEY = Key(b"k" * 32)
CODE = ("function a(b,c){return b.d(c)};", "var x=3;", 'e.push({k:"v",u:1.5});', "t.in&&r.me();")


def filled(piece, size):
    """Pieces one behind another, `size` characters of them."""
    random, pieces, length = Random(7), [], 0
    while length < size:
        pieces.append(piece(random))
        length += len(pieces[-1])
    return "".join(pieces)[:size]


LINES = {
    "digits": lambda size: filled(lambda random: f"{random.randrange(10**30):030}", size),
    "groups of three": lambda size: filled(lambda random: f"{random.randrange(1000):03} ", size),
    "groups of ten": lambda size: filled(lambda random: f"{random.randrange(10**10):010} ", size),
    "base64": lambda size: base64.b64encode(Random(7).randbytes(size)).decode()[:size],
    "minified code": lambda size: filled(lambda random: random.choice(CODE), size),
    "hex": lambda size: filled(lambda random: f"{random.getrandbits(32):08x}", size),
    "floats": lambda size: filled(lambda random: f"{random.random():.7e}   ", size),
    "hosts": lambda size: filled(
        lambda random: "".join(random.choices("abcdemo", k=random.randrange(1, 6))) + ".", size
    ),
    "spaces": lambda size: " " * size,
    "at signs": lambda size: "@" * size,
    "single letters": lambda size: "a." * (size // 2),
    "quotes": lambda size: "\"'" * (size // 2),
}
SLACK = 0.5
"""Seconds in which a short line is read on a busy machine."""


@pytest.mark.parametrize("kind", LINES)
def test_time_is_linear(kind):
    scanner = scanner_of(default_config())
    scrub_text(LINES[kind](2_000), scanner, actions_for(), KEY, "warm")  # compiles

    def seconds(size):
        text = LINES[kind](size)
        began = process_time()
        scrubbed = scrub_text(text, scanner, actions_for(), KEY, "doc")
        assert not scrubbed.rejected
        return process_time() - began

    short = seconds(100_000)
    assert any(seconds(400_000) < 8 * short + SLACK for _ in range(3))  # on a busy machine


@pytest.mark.parametrize("kind", ["digits", "hex", "base64", "groups of ten"])
def test_time_of_the_prefilter_is_linear(kind):
    """In megabytes, as one of its expressions was quadratic in a run of digits of that size."""

    def seconds(size):
        data = LINES[kind](size).encode()
        began = process_time()
        for prefilter in scanner_of(default_config()).prefilters:
            prefilter.block(0, data)
        return process_time() - began

    seconds(1_000)  # opens it
    assert seconds(2_000_000) < 1
