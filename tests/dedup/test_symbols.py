"""What dedup.symbols lists, example by example; test_shingles compares it with the verifier's."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dedup.test_shingles import CHARACTERS
from tests.examples import examples
from unrote.dedup.shingles import shingles
from unrote.dedup.similarity import jaccard
from unrote.pipelines.verify.tokens import grams_of


def same(left: str, right: str, **settings: object) -> bool:
    return jaccard(*shingles([left, right], **settings)) == 1.0


@pytest.mark.parametrize("unit", ["word", "character"])
@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("7 + 3", "7 - 3"),
        ("7 * 3", "7 / 3"),
        ("7 % 3", "7 3"),
        ("a > b", "a < b"),
        ("a >= b", "a = b"),
        ("a != b", "a = b"),
        ("count > limit", "count < limit"),
        ("price + tax", "price - tax"),
        ("left && right", "left || right"),
        ("if (!done) stop", "if (done) stop"),
        ("width*height", "width/height"),
        ("width * height", "width - height"),
        ("width * height", "width\n * height"),
        ("total // count", "total, count"),
        ("total\n// count", "total // count"),
        ("base ** power", "base * power"),
        ("(base + one) * (two)", "(base + one) (two)"),
        ("count % limit", "count, limit"),
        ("P(A|B)", "P(A, B)"),
        ("f -> g", "f g"),
        ("f \u2013> g", "f g"),
        ("C", "C++"),
        ("C++", "C#"),
        ("-5 degrees", "5 degrees"),
        ("(-5)", "(5)"),
        ("-$5", "$5"),
        ("$5", "€5"),
        ("5%", "5"),
        ("#5", "5"),
        ("20°", "20"),
        ("1.50", "1:50"),
        ("1.50", "1,50"),
        ("x²", "x³"),
        ("x ≤ 5", "x ≥ 5"),
        ("thanks :)", "thanks :("),
        ("thanks 😀", "thanks 😡"),
        ("today 👍", "today"),
        ("AT&T", "AT T"),
        ("jane@example.org", "jane example org"),
        ("温度是 -5 度", "温度是 5 度"),
        ("3 × 4 是多少", "3 ÷ 4 是多少"),
    ],
)
def test_symbols_that_count(left, right, unit):
    assert not same(left, right, unit=unit)
    assert same(left, right, unit=unit, symbols=False) == (left != "x²")


@pytest.mark.parametrize("unit", ["word", "character"])
@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("7 + 3", "7+3"),
        ("5 %", "5%"),
        ("7 - 3", "7 – 3"),
        ("7 - 3", "7\u22123"),
        ("a - b", "a-b"),
        ("well-known", "Well known"),
        ("one - and two", "one, and two"),
        ("one — and two", "one (and two)"),
        ("Yes!", "yes."),
        ("He said: no; why?", "he said no... WHY"),
        ("“quoted”", "'quoted'"),
        ("the sum [of all]", "The sum of all:"),
        ("* free software\n * for all", "free software for all"),
        ("# free software\n# for all", "free software\n\n for all"),
        ("// free software\n// for all", "free software for all"),
        ("/* free software\n * for all */", "free software for all"),
        ("free\r\n\t** software", "free software"),
        ("% free software\n% for all", "free software for all"),
        ("* free *software", "free software *"),
        ("a\n\n * * b", "a\n * * b"),
        ("<!-- free software -->", "free software"),
        ("> free software\n> for all", "free software for all"),
        ("- free software\n- for all", "• free software\n• for all"),
        ("**free** software", "free *software*"),
        ("free\n=======\nsoftware", "free software"),
        ("free\n-------\nsoftware", "free\n* * *\nsoftware"),
        ("| free | software |\n|------|----------|\n| for | all |", "free software for all"),
        ("+------+\n| free |\n+------+\n software", "free software"),
        ("┌──────┐\n│ free │\n└──────┘ software", "free software"),
        ("■ free software", "free software"),
        ("我喜欢——真的——喝咖啡", "我喜欢，真的，喝咖啡"),
    ],
)
def test_marks_that_do_not_count(left, right, unit):
    assert same(left, right, unit=unit)


@examples(400)
@given(st.text("ab1 \n-\u2013\u2014\u2212><=!*/%#:;.,()|\\$\u20ac", max_size=40))
def test_the_rule_is_that_of_the_verifier(text):
    """Written twice, from the documentation: here as a kernel, there as expressions."""
    text = f"one two {text} three four"
    assert len(shingles([text], ngram=1)[0]) == len(grams_of(text, "word", 1))
    assert len(shingles([text])[0]) == len(grams_of(text, "word", 5))


def test_symbols_alone_are_no_text():
    assert [len(s) for s in shingles(["😀 + 😀", "= = =", "C = 5"])] == [0, 0, 1]


@given(st.text(CHARACTERS, max_size=60), st.sampled_from([" ", "\n", "\t\u3000 ", "\r\n"]))
def test_only_whether_there_is_white_space_matters(text, space):
    words = text.split()
    left = " ".join(words)
    # A line that begins with an operator by itself begins a comment or an item.
    if {"\n", "\r"} & set(space):
        left = "\n".join(words)
    right = space.join(["", *words, ""])
    assert shingles([left])[0].tolist() == shingles([right])[0].tolist()


@given(st.lists(st.text("abxyz", min_size=2, max_size=6), min_size=1, max_size=40), st.data())
def test_decoration_case_and_quotes_do_not_matter(words, data):
    chance = random.Random(data.draw(st.integers()))
    leader = chance.choice(["* ", "# ", "// ", "> ", "- ", "| ", "-- ", ";; ", "■ "])
    ruler = chance.choice("-=*#~/+") * chance.randint(3, 60)
    lines = [words[i : i + 7] for i in range(0, len(words), 7)]
    forms = [[chance.choice([w, w.upper(), f'"{w}"', f"({w}),"]) for w in ws] for ws in lines]
    decorated = [ruler, *(leader + " ".join(form) for form in forms), ruler]
    assert same(" ".join(words), "\n".join(decorated))


@pytest.mark.parametrize("marks", ["+-", "$ ", "- ", "*/", "😀 ", ": ) ", "<>", "5 % "])
def test_a_megabyte_of_marks_takes_no_time(marks):
    text = "a " + marks * (1_000_000 // len(marks)) + " b"
    assert len(shingles([text])) == 1
