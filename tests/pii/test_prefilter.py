# ruff: noqa: E402 (what follows needs a package that may be missing)
import dataclasses
import logging
import re
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

import pytest
import zstandard

hyperscan = pytest.importorskip("hyperscan")
regex = pytest.importorskip("regex")

from hypothesis import given
from hypothesis import strategies as st

from tests.corpora import personal
from tests.examples import examples
from unrote.pii import databases
from unrote.pii.catalogue import ENTRIES, build
from unrote.pii.compiling import compile_all
from unrote.pii.config import Config, Pattern, default_config
from unrote.pii.deid import DeidDetector
from unrote.pii.prefilter import (
    BLOCK,
    Prefilter,
    Probe,
    image_of,
    is_wide,
    is_within_lines,
    without_long_counts,
)
from unrote.pii.scanner_cache import open_scanner

FLAGS = regex.DOTALL | regex.MULTILINE | regex.IGNORECASE


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("UNROTE_CACHE", str(tmp_path / "cache"))
    forget()


def forget():
    """What this process has loaded."""
    databases._loaded.cache_clear()
    databases._kept.cache_clear()


def prefilter(*expressions, **more):
    return Prefilter([Probe(n, text, int(FLAGS)) for n, text in enumerate(expressions)], **more)


@pytest.mark.parametrize(
    ("expression", "within"),
    [
        (r"\b\d{3}[- ]?[a-z]\b", True),
        (r"(?<![\w:])::(?!\w)", True),
        (r"^a|b$", True),
        (r"a\sb", False),
        (r"a[^b]c", False),
        (r"a[^b\n]c", True),
        (r"a[^\s]c", True),
        (r"a.c", False),
        (r"a(?=\s)", False),
        (r"(?<!\W)a", False),
        (r"a\Z", False),
        (r"a\nb", False),
        (r"a[\t-\r]b", False),
        (r"\b(?i)(a)", False),
        (r"a\Bb", False),
    ],
)
def test_which_expressions_keep_to_a_line(expression, within):
    assert is_within_lines(expression, int(FLAGS)) is within


def test_lines_need_multiline_anchors():
    assert not is_within_lines("a$", int(regex.DOTALL))


def test_blocks_are_whole_lines_that_fired():
    text = ("x" * 700 + "\n") * 2 + "é" * 600 + "\n" + "a 123\nrest"
    found = list(prefilter(r"\d{3}").blocks(text.encode()))
    assert [text[b.start : b.start + len(b.text)] for b in found] == [b.text for b in found]
    assert [b.text for b in found] == ["a 123\nrest"]


def test_characters_hyperscan_does_not_know():
    probes = prefilter(r"a\wb", r"\d{3}", r"kiss", r"ä\wö")
    cases = {"a\u0301b": 0, "a\u200db": 0, "\u0663\u0664\U0001e950": 1, "Kiſſ": 2, "Äxö": 3}
    for text, number in cases.items():
        expression = probes.probes[number].expression
        assert regex.search(expression, text, FLAGS), text
        assert number in probes.block(0, text.encode()).fired, text


def test_blocks_that_were_read_last_are_known(monkeypatch):
    monkeypatch.setattr("unrote.pii.prefilter.RECENT", 4 * BLOCK)
    probes = prefilter(r"\d")
    texts = [f"{number}\n".encode() * BLOCK for number in range(8)]

    def marks(text: bytes) -> list[object]:
        return [block.known.setdefault("mark", object()) for block in probes.blocks(text)]

    first = marks(texts[0])
    assert marks(texts[0]) == first
    for text in texts[1:]:
        marks(text)
    assert not set(marks(texts[0])) & set(first)
    assert sum(map(len, [*probes._recent, *probes._before])) <= 12 * BLOCK


def test_the_image_of_every_character_is_of_its_kind():
    chars = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x20000)]))
    image = image_of(chars).decode("ascii")
    assert len(image) == len(chars)
    for kind in (r"\w", r"\d", r"\s"):
        found = regex.compile(kind)
        assert all(
            not found.match(char) or found.match(one)
            for char, one in zip(chars, image, strict=True)
        )
    letters = regex.compile("[a-z]|[A-Z]", regex.I)
    others = [char for char in chars[128:] if letters.match(char)]
    assert {"\u017f", "\u212a"} <= set(others)
    for char in others:
        letter = image_of(char).decode()
        assert regex.match(f"{letter}|{letter.upper()}", char, regex.I), char


PARTS = (r"[^a\s]", r"[^\W]", "é", "[éü-]", "—", r"\b", r"\w", r"\d", r"\s", "s", "k", "a.", "[^é]")
SIGNS = "aé ü—\u00a0\u0663\u017f\u212ask_0-\u4e2d\u0301\n"


@examples(100)
@given(
    st.lists(st.sampled_from((*PARTS, "[^_]", "[^ ]", "[^0-9]")), min_size=1, max_size=4),
    st.text(SIGNS, max_size=8),
)
def test_what_matches_a_text_fires_in_its_image(parts, text):
    """Or it counts as found wherever a text is not ASCII."""
    expression = "".join(parts)
    if regex.search(expression, text, FLAGS):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(databases, "_write", lambda *_: None)
            assert prefilter(expression).block(0, text.encode()).fired


def test_default_expressions_have_images():
    """So that none of them fires in all text that is not ASCII."""
    *detectors, _ = open_scanner(default_config()).prefilters  # markers' have images of their own
    for one in detectors:
        assert not one._beyond


def test_presidio_names_characters_one_by_one():
    """What an image keeps is what expressions name: ranges beyond ASCII would need more."""
    patterns = [p.regex for entry in ENTRIES for p in getattr(build(entry), "patterns", [])]
    assert not any(map(is_wide, patterns))


def test_databases_are_kept(monkeypatch):
    prefilter("abc").block(0, b"abc")
    forget()
    with monkeypatch.context() as patch:
        patch.setattr(databases, "_compiled", None)
        assert prefilter("abc").block(0, b"xabcx").fired


@pytest.mark.parametrize("damaged", [lambda data: data[:-5], lambda _: zstandard.compress(b"x")])
def test_a_damaged_database_is_compiled_anew(damaged):
    prefilter("abc").block(0, b"abc")
    (path,) = databases.own_folder(databases.FOLDER).iterdir()
    written = path.read_bytes()
    path.write_bytes(damaged(written))
    forget()
    assert prefilter("abc").block(0, b"xabcx").fired
    assert path.read_bytes() == written


def test_the_default_databases_come_compiled(tmp_path, monkeypatch):
    """As `make` and the build of a wheel compile them; a scanner then compiles none."""
    packaged = files("unrote").joinpath("compiled", databases.FOLDER)
    names = {path.name for path in packaged.iterdir()}
    assert len(names) >= 2
    monkeypatch.setattr(databases, "_compiled", None)
    scanner = open_scanner(default_config())
    kept = {name for one in scanner.prefilters for name in one.keep(packaged)}
    assert kept | {databases.INDEX} == names
    assert not scanner.table(["Mail jane.roe@acme.com", "Ärger: jane.roe@acme.com [NAME]"])[1]


def test_what_is_not_of_the_default_scanner_is_dropped_from_the_package(tmp_path, monkeypatch):
    monkeypatch.setattr(databases, "_compiled", lambda *_: None)
    monkeypatch.setattr(databases, "_write", lambda _hyperscan, _database, path: path.touch())
    (tmp_path / "old").touch()
    compile_all(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert "old" not in names
    assert names >= {path.name for path in files("unrote").joinpath("compiled/hyperscan").iterdir()}


EXPRESSIONS = ("abc", "a.c", r"\d{3}", r"\bx", "é", "ab?c", "abc", "[b-d]+")


@given(
    st.lists(st.sampled_from(EXPRESSIONS), min_size=1, max_size=8),
    st.integers(1, 4),
    st.lists(st.sampled_from(EXPRESSIONS), max_size=8),
    st.text("abcx 12é\n", max_size=12),
)
def test_how_expressions_are_spread_over_databases_does_not_matter(wanted, part, packed, text):
    """Some of them come with the package, beside others that are not wanted."""
    whole = prefilter(*wanted).block(0, text.encode()).fired
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(databases, "files", lambda _: Path(folder))
        patch.setattr(databases, "PART", part)
        (Path(folder) / "compiled").mkdir()
        if packed:
            prefilter(*packed).keep(Path(folder) / "compiled" / databases.FOLDER)
        forget()
        assert prefilter(*wanted).block(0, text.encode()).fired == whole


@pytest.mark.parametrize(
    "config",
    [
        Config(secrets=False, threshold=0.0),
        dataclasses.replace(default_config(), patterns=(Pattern("BADGE", "BDG-[0-9]{4}"),)),
    ],
    ids=["without-secrets", "own-pattern"],
)
def test_few_expressions_are_compiled_beside_the_default_ones(config, monkeypatch):
    """So that a setting of one's own does not cost a minute when it is first used."""
    compiled = []
    compile_ = databases._compiled
    monkeypatch.setattr(
        databases, "_compiled", lambda hs, part: compiled.append(len(part)) or compile_(hs, part)
    )
    for one in open_scanner(config).prefilters:
        one.block(0, "é a".encode())
        one.block(0, b"a")
    assert sum(compiled) <= 4


def test_a_folder_that_cannot_be_written_is_no_error(monkeypatch):
    monkeypatch.setenv("UNROTE_CACHE", "/dev/null/x")
    assert prefilter("abc").block(0, b"abc").fired


counts = st.sampled_from(["", "{3}", "{12}", "{13}", "{20,}", "{2,14}", "{0,30}", "{5,12}", "{,9}"])
counted = st.lists(
    st.tuples(st.sampled_from(["[ab]", "(?:a|bc)", r"\d", "b"]), counts).map("".join),
    min_size=1,
    max_size=4,
).map("".join)


@examples(100)
@given(st.data(), counted)
def test_without_long_counts_it_matches_what_it_matched(data, expression):
    text = data.draw(st.from_regex(re.compile(expression), fullmatch=True))
    assert re.fullmatch(without_long_counts(expression), text)


def test_only_counts_are_shortened():
    for kept in ("a{12}b{3,12}", r"\{13}", "[{13}]", "a{", "{name}"):
        assert without_long_counts(kept) == kept
    assert without_long_counts("a{13}b{2,99}c{14,}") == "a{12,}b{2,}c{12,}"


def test_without_hyperscan_it_says_so(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "hyperscan", None)
    with caplog.at_level(logging.WARNING):
        plain = prefilter("abc")
    assert not plain.works
    assert "pip install hyperscan" in caplog.text
    assert [b.fired for b in plain.blocks(b"nothing")] == [frozenset({0})]


def test_threads_may_share_a_prefilter():
    """As those do that share the marker detector's, of which there is one in a process."""
    detector = DeidDetector()
    texts = [row["text"] for row in personal(0, 60)] * 5
    expected = [detector.find(text) for text in texts]
    for _ in range(3):
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(detector.find, texts)) == expected
