"""Scrubbing again changes nothing, however close values stand to one another."""

from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("presidio_analyzer")

from tests.corpora import documents
from tests.examples import examples
from unrote.pii.config import ACTIONS_BY_DEFAULT, Config
from unrote.pii.findings import Failure
from unrote.pii.keys import Key
from unrote.pii.scanner_cache import scanner_of
from unrote.pii.scrubbing import Edit, edited_text, scrub_text
from unrote.pii.scrubbing.edits import Alignment, is_within

KEY = Key(b"the key of the tests, of 32 or so")

ODD = [
    "bank 5683370372",
    "phone 168-71-9730",
    "2 210-51-9626",
    "118-70-5651-4",
    "1925101535",
    "patient seen 2021-03-04, moved 2150-02-03T10:00:00Z",
    "|||EMAIL||| <EMAIL_ADDRESS> cd ::\u2028tp",
    "m.cm/vj.nb@c.or",
    "3106595681-2/1/20",
    "passport 643975734.212736.1331",
    "00:1B:44:11:3A:27http://z.om",
    "741343 6789736874134 6378",
    "388-32-7043 148933486-49",
    "account 4078-9494-8894-0179;N 53497996",
    "█h@q.om in he ou",
    "１６８９",
    "１１６８ ok",
    "８３６６６９８３:xoxb-5281819245-702655474350-erynhpcerynhpcer",
    "DE２５６８５４７",
]
"""Texts in which one pass left something for the next, or had no surrogate."""

PARTS = [
    "168-71-9730", "(415) 664-7665", "4539 5787 6362 1486", "DE75 5121 0800 1245 1261 99",
    "jane.roe@acme.com", "81.2.69.160", "2021-03-04", "2150-02-03", "a4:83:e7:2b:90:1c",
    "5683370372", "1925101535", "https://x.org/a", "[**Name**]", "<EMAIL>", "___", "bank", "phone",
    "passport", "ssn", "patient", "account", "212736.1331", "53497996", "AKIAZ2J4N5Q7RT3WXV6Y",
    "2000", "v2 license",
]  # fmt: skip
JOINTS = [" ", ", ", "\n", ". ", "-", "", " and "]

ACTIONS = [
    ACTIONS_BY_DEFAULT,
    *({"*": action} for action in ("surrogate", "remove", "mask", "placeholder", "hash")),
    {"*": "surrogate", "PHONE_NUMBER": "mask", "US_SSN": "remove", "EMAIL_ADDRESS": "hash"},
]


def dense(seed: int) -> str:
    """A text of nothing but what detectors look for, or nearly."""
    random = Random(seed)
    parts = random.choices(PARTS, k=random.randint(1, 8))
    return "".join(part + random.choice(JOINTS) for part in parts)


def scrub(text, actions, cuts=()):
    scrubbed = scrub_text(text, scanner_of(Config()), actions, KEY, "x", cuts)
    assert not scrubbed.rejected
    return edited_text(text, scrubbed.edits), scrubbed


@pytest.mark.parametrize("actions", ACTIONS, ids=str)
def test_scrubbing_again_changes_nothing(actions):
    for text in [*ODD, *map(dense, range(150)), *documents(1, 20)]:
        once, scrubbed = scrub(text, actions)
        assert scrub(once, actions)[0] == once, text
        spans = [(a.finding.start, a.finding.end) for a in scrubbed.applied]
        spans = sorted([*spans, *((f.start, f.end) for f in scrubbed.in_cuts)])
        assert all(a < b for a, b in spans)
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))
        for edit in scrubbed.edits:  # each has findings, and none of them is kept
            inside = [a for a in scrubbed.applied if edit.start <= a.finding.start < edit.end]
            assert inside, text
            assert all(one.action != "keep" for one in inside)


MIXED = [
    *("@", ".", "-", "_", "+", ":", "/", ",", " ", "<", ">", "%40", "star", "jane", "a", "b7"),
    *("com", "org", "acme.com", "example.com", "81.2.69.142", "536-90-4399", "http://", "user"),
    *("jane.roe@acme.com", "test@example.com", "noreply", "ghp_", "[**Name**]", "<EMAIL>", "___"),
    *("+1 212-664-7665", "4539 5794 5807 3025", "2001:db8::1"),
]


@examples(60)
@given(st.lists(st.sampled_from(MIXED), min_size=2, max_size=14))
def test_whatever_touches_converges(parts):
    """Addresses that overlap one another, or what is kept, as in "star@a.star@example.com"."""
    scrub("".join(parts), ACTIONS_BY_DEFAULT)


@pytest.mark.parametrize(
    "text",
    [
        "star@a.star@example.com",
        "jane.roe@acme.com@example.com%40___usertest@example.comxxxhttp:///-",
        "://=:roe)test@example.com::<star<EMAIL>4539 5794 5807 3025://",
        "acmeghp_http://10.1.2.3:starde(net-ghp_test@example.com;",
    ],
)
def test_a_part_that_was_replaced_is_known_again(text):
    once, scrubbed = scrub(text, ACTIONS_BY_DEFAULT)
    assert scrubbed.edits
    assert scrub(once, ACTIONS_BY_DEFAULT)[0] == once


def test_no_digit_of_full_width_is_left():
    for text in ("１６８９", "DE２５６８５４７", "call １１６８９９２３４ now"):
        scrubbed = scrub(text, {"*": "surrogate"})[1]
        for one in scrubbed.applied:
            value = text[one.finding.start : one.finding.end]
            assert value not in one.replacement


def test_what_is_cut_stays_as_it_is():
    text = "Mail jane.roe@acme.com, 2 210-51-9626, and bob@kelvin-hardware.org too."
    cut = (text.index("2 210"), text.index(", and"))
    once, scrubbed = scrub(text, {"*": "surrogate"}, [cut])
    assert text[slice(*cut)] in once
    assert {f.start for f in scrubbed.in_cuts} <= set(range(*cut))
    assert scrubbed.in_cuts
    assert len(scrubbed.edits) == 2


def test_a_later_pass_can_reject():
    """What nobody saw before may be what is not to be released."""

    class SeesLate:
        config = Config()

        def __init__(self):
            self.passes = 0

        def find_all(self, text, without=()):
            self.passes += not without  # a pass that only asks whether another is needed is none
            found = scanner_of(Config()).find_all(text)
            return (
                found
                if self.passes == 1 and not without
                else Failure(0, "Late", "raised ValueError")
            )

    scanner = SeesLate()
    scrubbed = scrub_text("Mail jane.roe@acme.com.", scanner, ACTIONS_BY_DEFAULT, KEY, "x")
    assert scrubbed.rejected == "Late raised ValueError"
    assert not scrubbed.edits
    assert scanner.passes == 2
    scanner.passes = 0
    assert not scrub_text("Nothing here.", scanner, ACTIONS_BY_DEFAULT, KEY, "x").rejected
    assert scanner.passes == 1  # where nothing was written there is nothing to look at


@pytest.mark.parametrize("actions", ACTIONS, ids=str)
def test_to_ask_first_whether_a_pass_changes_anything_changes_no_answer(actions, monkeypatch):
    scanner = scanner_of(Config())
    texts = [*ODD, *map(dense, range(200, 240)), "Maria Hoffmann met Maria. Mail user@example.com."]
    asked = [scrub_text(text, scanner, actions, KEY, "x") for text in texts]
    monkeypatch.setattr("unrote.pii.scrubbing.passes._Passes.changes_nothing", lambda *_: False)
    assert [scrub_text(text, scanner, actions, KEY, "x") for text in texts] == asked


def test_what_does_not_converge_is_rejected(monkeypatch):
    monkeypatch.setattr("unrote.pii.scrubbing.passes.PASSES", 0)
    scrubbed = scrub_text("jane.roe@acme.com", scanner_of(Config()), {"*": "hash"}, KEY, "x")
    assert scrubbed.rejected == "does not converge in 0 passes"
    assert not scrub_text("Nothing.", scanner_of(Config()), {"*": "hash"}, KEY, "x").rejected


@pytest.mark.parametrize("seed", range(20))
def test_an_alignment_says_where_characters_come_from(seed):
    random = Random(seed)
    length = random.randint(0, 40)
    bounds = sorted(random.sample(range(length + 1), k=min(length + 1, 2 * random.randint(0, 4))))
    edits = [
        Edit(a, b, "+" * random.randint(0, 5))
        for a, b in zip(bounds[::2], bounds[1::2], strict=False)
    ]
    text = "".join(random.choices("abc", k=length))
    written = edited_text(text, edits)
    alignment = Alignment.of(length, edits)
    starts, ends = alignment.starts, alignment.ends
    assert len(starts) == len(ends) == len(written)
    assert np.all(np.diff(starts) >= 0)
    assert np.all(np.diff(ends) >= 0)
    for sign, start, end in zip(written, starts, ends, strict=True):
        assert sign == "+" or (end == start + 1 and text[start] == sign)
        assert sign != "+" or any((e.start, e.end) == (start, end) for e in edits)
    for start, end in [(3, 9), (0, length)]:
        for first, last in alignment.spans_edited_from([(start, end)]):
            assert start <= starts[first]
            assert ends[last - 1] <= end


@examples(60)
@given(
    st.lists(st.sampled_from(MIXED), min_size=2, max_size=14), st.integers(0, 20), st.integers(1, 9)
)
def test_what_lies_in_a_cut_is_said_to(parts, first, count):
    """Also what is left of a finding that reaches into the cut, as of a URL that holds an address
    which is replaced.
    """
    text = " ".join(parts)
    cut = (len(" ".join(parts[:first])), len(" ".join(parts[: first + count])))
    cuts = [cut] if cut[0] < cut[1] else []
    scrubbed = scrub(text, ACTIONS_BY_DEFAULT, cuts)[1]
    assert not [a for a in scrubbed.applied if is_within(cuts, a.finding.start, a.finding.end)]
    assert all(is_within(cuts, f.start, f.end) for f in scrubbed.in_cuts)


def test_what_is_left_of_a_kept_finding_lies_in_a_cut():
    text = "Go to http://jane.roe@acme.com/a/long/path?of=words%20and%20more here."
    cut = (text.index("/a/long"), text.index(" here"))
    scrubbed = scrub(text, ACTIONS_BY_DEFAULT, [cut])[1]
    assert [f.type for f in scrubbed.in_cuts] == ["URL"]
    assert not [a for a in scrubbed.applied if is_within([cut], a.finding.start, a.finding.end)]
