"""The detector's findings are those of Presidio's AnalyzerEngine."""

from functools import cache
from pathlib import Path

import pytest

pytest.importorskip("presidio_analyzer")

import pydantic
from hypothesis import HealthCheck, assume, given
from hypothesis import strategies as st

from tests.examples import examples
from tests.pii.detecting import findings_of
from tests.pii.fuzz import texts
from unrote.pii import Config
from unrote.pii.catalogue import resolve
from unrote.pii.detector import Detector
from unrote.pii.presidio import analyze, analyzer_engine

DEFAULT = resolve(("default",))
ALL = resolve(("all",))
BRIEF = examples(
    60,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@cache
def systems(config):
    return Detector(config), analyzer_engine(config)


def same(text, config):
    detector, engine = systems(config)
    try:
        theirs = analyze(engine, text, config)
    except ValueError:  # Presidio: a finding of which no token ends behind its start
        assume(False)
    assert [tuple(finding[:4]) for finding in findings_of(detector, text)] == theirs


def config_of(names, threshold, **more):
    return Config(
        recognizers=names,
        threshold=threshold,
        compatible=True,
        secrets=False,
        names=False,
        addresses=False,
        **more,
    )


@pytest.mark.parametrize("threshold", [0.0, 0.4, 0.9])
@BRIEF
@given(st.data())
def test_default_recognisers_on_ascii(threshold, data):
    same(data.draw(texts(DEFAULT, ascii_only=True)), config_of(("default",), threshold))


@pytest.mark.parametrize("threshold", [0.0, 0.4])
@BRIEF
@given(st.data())
def test_default_recognisers_beyond_ascii(threshold, data):
    same(data.draw(texts(DEFAULT)), config_of(("default",), threshold))


@pytest.mark.parametrize("threshold", [0.0, 0.4])
@BRIEF
@given(st.data())
def test_without_context_words(threshold, data):
    same(data.draw(texts(DEFAULT)), config_of(("default",), threshold, context=False))


@pytest.mark.parametrize("ascii_only", [True, False])
@BRIEF
@given(st.data())
def test_all_recognisers(ascii_only, data):
    same(data.draw(texts(ALL, ascii_only)), config_of(("all",), 0.0))


@BRIEF
@given(st.data())
def test_allow_lists(data):
    text = data.draw(texts(DEFAULT))
    same(text, config_of(("default",), 0.0, allow=("+1 415 555 2671", "a.b.c")))
    same(text, config_of(("default",), 0.0, allow_regex=("555", "^www")))


def documentation():
    """Files of installed packages, the same ones everywhere as far as they are there."""
    site = Path(pydantic.__file__).parent.parent
    for path in sorted(site.glob("*.dist-info/METADATA"))[:40]:
        yield path.read_text("utf-8", "replace")[:20_000]


@pytest.mark.parametrize("threshold", [0.0, 0.4])
def test_documentation_of_installed_packages(threshold):
    for text in documentation():
        same(text, config_of(("default",), threshold))


def test_long_lines_and_many_blocks():
    line = "See www.unrote.org, call (415) 555-2671 or mail a.b@unrote.org on 2024-01-15. "
    for text in (line * 40, (line * 8 + "\n") * 8, ("é" + line * 8 + "\r\n") * 8, "." * 5000):
        same(text, config_of(("default",), 0.0))
    host = "a-" * 400 + "b.example.com"
    for text in (
        host,
        f'"{host}"',
        f"http://{host}/x",
        "www." + "x" * 253 + ".com",
        "x" * 254 + ".de",
    ):
        same(text, config_of(("URL", "EMAIL_ADDRESS"), 0.0))


IBANS = (
    *("DE63500105175407364262", "GB29NWBK60161331926819", "FR1420041010050500013M02606"),
    *("NO9386011117947", "MT84MALT011000012345MTLCAST001S", "CH9300762011623852957"),
)


@BRIEF
@given(
    st.sampled_from(IBANS),
    st.lists(st.booleans(), min_size=31, max_size=31),
    st.sampled_from(["", " ", "-"]),
    st.sampled_from(["", "my IBAN: ", "(", "é"]),
    st.sampled_from(["", ".", " 2 days from today", "\n", "x"]),
)
def test_ibans_in_any_case(iban, lower, between, before, behind):
    cased = "".join(c.lower() if low else c for c, low in zip(iban, lower, strict=False))
    groups = between.join(cased[at : at + 4] for at in range(0, len(cased), 4))
    same(f"{before}{groups}{behind}", config_of(("default",), 0.4))
