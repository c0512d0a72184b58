import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.boundaries import balanced, damage, ranges, table, tallies, total
from benchmarks.structured import KINDS, Labelled, corpus
from tests.dedup.test_spans import check_witnesses, sizes, spans_of
from tests.examples import examples
from unrote.corpus.views import apply_edits
from unrote.dedup.spans import duplicate_spans

SAID = (
    "Say what you know, truthfully and briefly, and say so where you do not know the answer at all"
)


def left_of(texts: list[str], size: int = 100, boundary: str = "structure") -> list[str]:
    """What cuts leave of each text."""
    cuts: dict[int, list[tuple[int, int]]] = {}
    for doc, start, end, *_ in spans_of(
        duplicate_spans(texts, min_bytes=size, boundary=boundary, workers=1)
    ):
        cuts.setdefault(doc, []).append((start, end))
    return [apply_edits(text, cuts.get(i, []), []) for i, text in enumerate(texts)]


PARTS = (
    "- ", "| ", " | ", "|---|---|", "Q: ", "A: ", "<|user|>\n", "<|assistant|>\n", "(", ")", "[",
    "]", "{", "}", '"', '"""', "/*", "*/", "```", "def f(x):", "    ", "return x;", "a,b,c,d", "\t",
    "The dog barks. ", "It is late", "。", "é", "\n", "\n", "\n\n", "\r\n", "word ", "<|im_start|>",
)  # fmt: skip


@st.composite
def structured(draw) -> list[str]:
    """Texts of signs that mean something to a cut, with blocks that recur."""
    signs = st.lists(st.sampled_from(PARTS), max_size=25).map("".join)
    blocks = draw(st.lists(signs, min_size=1, max_size=3))
    one = st.lists(st.one_of(st.sampled_from(blocks), signs), max_size=6).map("".join)
    return draw(st.lists(one, min_size=1, max_size=4))


@examples(150)
@given(structured(), sizes)
def test_a_cut_lies_within_what_was_found_and_has_a_witness(texts, size):
    found = duplicate_spans(texts, min_bytes=size, boundary="character", workers=1)
    cut = duplicate_spans(texts, min_bytes=size, boundary="structure", workers=1)
    check_witnesses(texts, cut)
    places = {(doc, i) for doc, start, end, *_ in spans_of(found) for i in range(start, end)}
    for doc, start, end, *_ in spans_of(cut):
        assert all((doc, i) in places for i in range(start, end))


CLOSING = {"(": ")", "[": "]", "{": "}"}


def closed(text: str) -> str:
    """The text without brackets that close nothing, and with those that close what is open."""
    kept, held = "", ""
    for char in text:
        if char in ")]}" and (not held or CLOSING[held[-1]] != char):
            continue
        held = held[:-1] if char in ")]}" else held + char * (char in CLOSING)
        kept += char
    return kept + "".join(CLOSING[char] for char in reversed(held))


@examples(150)
@given(structured(), sizes)
def test_what_was_balanced_stays_balanced(texts, size):
    for left in left_of([closed(text) for text in texts], size):
        assert balanced("".join(char for char in left if char in "()[]{}"))


def test_a_bracket_stays_with_the_one_that_closes_it():
    shared = f"It is so ({SAID}. {SAID}"
    texts = [f"One. {shared} one). Yes.", f"Two. {shared} two). No."]
    assert left_of(texts)[1] == f"Two. It is so ({SAID}.\ntwo). No."


def test_a_line_break_that_was_not_found_stays():
    shared = f"{SAID}.\nAnd this line, which is as long as others.\n"
    assert left_of([f"{shared}One.\n", f"Two.\n{shared}Three.\n"])[1] == "Two.\n\nThree.\n"


def test_nothing_of_the_kinds_at_hand_or_held_out_is_left_half():
    documents = corpus(pairs=8)
    for held_out in (False, True):
        kinds = [kind for kind in KINDS if KINDS[kind].held_out == held_out]
        by_rule = {
            rule: total(own[kind] for kind in kinds)
            for rule in ("word", "structure")
            for own in [tallies(documents, rule)]
        }
        structure, word = by_rule["structure"], by_rule["word"]
        assert word.share() > 0.9
        assert structure.share() < 0.05
        assert not structure.kinds.keys() - {"sentence"}  # where there is neither line nor sentence
        assert structure.removed > 0.4 * structure.found
        assert len(table(by_rule).splitlines()) == 4


@pytest.mark.parametrize(
    ("kind", "start", "end", "harm"),
    [
        ("row", 3, 9, {"row"}),
        ("row", 0, 9, set()),
        ("sentence", 5, 9, {"sentence", "word"}),
        ("line", 0, 4, {"line"}),
    ],
)
def test_the_measure_of_damage_sees_halves(kind, start, end, harm):
    document = Labelled("prose", "a b words")
    document.parts = [(kind, 0, 9)]
    assert damage(document, start, end) == harm


def test_the_measure_of_damage_sees_lonely_halves_and_brackets():
    document = Labelled("python", "q: f(1)\na: x\n")
    document.pairs = [("question", (0, 7), (8, 12))]
    assert damage(document, 0, 8) == {"question"}
    assert damage(document, 0, 13) == set()
    assert damage(document, 5, 8) == {"balance", "syntax"}


CHAT = "<|system|>\n{0}.\n<|user|>\n{1} is it?\n<|assistant|>\n{1} it is.\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # A turn goes whole, with its tag.
        (CHAT.format(SAID, "Late"), "<|user|>\nLate is it?\n<|assistant|>\nLate it is.\n"),
        # No question without its answer.
        (f"Q: {SAID} of it?\nA: Northtown\n", None),
        # No rows without their header.
        (f"Late.\n\n| {SAID} | b |\n|---|---|\n| 1990 | R1 |\n", None),
    ],
)  # fmt: skip
def test_turns_questions_and_tables_stay_whole(before, after):
    first = before.replace("Late", "Early").replace("North", "South").replace("R1", "R0")
    assert left_of([first, before])[1] == (before if after is None else after)


def test_a_passage_goes_as_whole_lines_without_a_gap():
    shared = f"{SAID}.\nAnd this line, which is as long as others, is shared as well.\n"
    texts = [f"One.\n{shared}Two.\n", f"Three.\n{shared}Four.\n"]
    assert left_of(texts)[1] == "Three.\nFour.\n"
    windows = [text.replace("\n", "\r\n") for text in texts]
    assert left_of(windows)[1] == "Three.\nFour.\r\n"


def test_a_line_break_near_one_end_alone_does_not_spare_a_passage():
    """Of a passage in one line a sentence goes, or words."""
    said = f"{SAID}. {SAID.lower()} again, and so on and on"
    texts = [f"He said that {said} he cried.\nYes.", f"She wrote, {said}\nNo."]
    assert left_of(texts)[1] == "She wrote,\n\nNo."
    texts = [f"A {SAID.lower()} and then to one.", f"The {SAID.lower()} and then to two."]
    assert left_of(texts)[1] == "The\ntwo."


def test_wrapped_lines_are_no_line_breaks():
    shared = "and this goes on\nfor a while, or more. It was so that " + SAID
    texts = [
        f"One thing is said here, {shared}. Next.",
        f"Another is said elsewhere, {shared}; last.",
    ]
    assert left_of(texts)[1].startswith(f"Another is said elsewhere, {shared[:38]}\n")


def test_a_program_loses_whole_functions():
    shared = "".join(f"def f{n}(x):\n    return [x, ({n})]\n\n\n" for n in range(5))
    texts = [f"def a(y):\n    y = 1\n    return g(y)\n\n\n{shared}A = 1\n",
             f"def b(y):\n    y = 2\n    return g(y)\n\n\n{shared}B = 2\n"]  # fmt: skip
    assert left_of(texts)[1].split() == "def b(y):\n    y = 2\n    return g(y)\nB = 2".split()


def test_a_list_keeps_its_items():
    items = [f"- {SAID} {n}, but not more than that, and no less.\n" for n in range(3)]
    texts = [
        f"A\n\n- x {items[0][2:]}{items[1]}- {SAID} 7\n",
        f"B\n\n- y {items[0][2:]}{items[1]}- {SAID} 8\n",
    ]
    assert left_of(texts)[1] == f"B\n\n- y {items[0][2:]}- {SAID} 8\n"


def test_a_long_line_of_one_word_and_many_lines_take_no_longer_than_others():
    texts = ["a" * 300_000 + "\n" * 300_000 + "(\n" * 100_000, "b"]
    assert left_of(texts)[1] == "b"


def test_ranges_are_found_by_rule():
    chance = random.Random(0)
    text = " ".join(chance.choice(("dog", "cat", "bird")) for _ in range(60))
    assert ranges([text, f"{text} more"], "structure") == {1: [(0, len(text))]}
