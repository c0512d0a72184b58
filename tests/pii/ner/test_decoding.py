"""Constrained decoding of labels, against trying every sequence."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrote.corpus.errors import ConfigError
from unrote.pii.ner.decoding import best_path, decode
from unrote.pii.ner.labels import entities_by_label, scheme_of

SCHEMES = {
    "BIO": ("O", "B-PER", "I-PER", "B-LOC", "I-LOC"),
    "IOB1": ("O", "I-PER", "I-LOC", "B-LOC"),
    "BIOES": ("O", "B-PER", "I-PER", "E-PER", "S-PER"),
    "BILOU": ("B-PER", "I-PER", "L-PER", "U-PER", "O"),
    "IO": ("O", "PER", "E-MAIL"),
}


def is_allowed(path: list[str], opens: bool, closes: bool) -> bool:
    """Written down again, tag by tag, from what BIOES and BILOU are."""
    tags = {"L": "E", "U": "S"}
    split = [("O", "") if p == "O" else (tags.get(p[0], p[0]), p[2:]) for p in path]
    pairs = list(itertools.pairwise(split))
    ok = True
    for (tag, type_), (after, of) in pairs:
        if after in ("I", "E"):
            ok &= tag in ("B", "I") and type_ == of
        else:
            ok &= tag in ("O", "E", "S")
    ok &= not opens or split[0][0] in ("O", "B", "S")
    return ok and (not closes or split[-1][0] in ("O", "E", "S"))


@pytest.mark.parametrize("name", ["BIOES", "BILOU"])
@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 5), st.booleans(), st.booleans())
def test_the_best_of_all_sequences_that_are_allowed(name, seed, tokens, opens, closes):
    labels = SCHEMES[name]
    scheme = scheme_of(labels, "x")
    scores = np.random.default_rng(seed).normal(size=(tokens, len(labels))).astype(np.float32)
    path = best_path(
        scores,
        scheme.set_of,
        scheme.set_offsets,
        scheme.set_labels,
        scheme.first | (not opens),
        scheme.last | (not closes),
    )

    def total(numbers) -> float:
        return float(sum(scores[t, n] for t, n in enumerate(numbers)))

    allowed = [
        one
        for one in itertools.product(range(len(labels)), repeat=tokens)
        if is_allowed([labels[n] for n in one], opens, closes)
    ]
    assert tuple(path) in allowed
    assert total(path) == pytest.approx(max(map(total, allowed)), abs=1e-4)


def spans(name: str, path: str, *, opens: bool = True, closes: bool = True):
    """What is decoded where each token's label has a probability of 0.9."""
    labels, wanted = SCHEMES[name], path.split()
    rest = 0.1 / (len(labels) - 1)
    probs = np.full((len(wanted), len(labels)), rest, dtype=np.float32)
    for token, label in enumerate(wanted):
        probs[token, labels.index(label)] = 0.9
    scheme = scheme_of(labels, "x")
    found = decode(np.log(probs), scheme, opens=opens, closes=closes)
    columns = (found.first.tolist(), found.end.tolist(), found.type.tolist())
    return [(a, b, scheme.types[type_]) for a, b, type_ in zip(*columns, strict=True)]


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [
        ("BIO", "O B-PER I-PER O B-PER B-PER", [(1, 3, "PER"), (4, 5, "PER"), (5, 6, "PER")]),
        ("BIO", "I-LOC I-LOC O", [(0, 2, "LOC")]),  # the nearest that is allowed
        ("IOB1", "I-PER I-PER O I-LOC B-LOC", [(0, 2, "PER"), (3, 4, "LOC"), (4, 5, "LOC")]),
        ("BIOES", "S-PER S-PER B-PER I-PER E-PER", [(0, 1, "PER"), (1, 2, "PER"), (2, 5, "PER")]),
        ("BILOU", "U-PER B-PER L-PER O", [(0, 1, "PER"), (1, 3, "PER")]),
        ("IO", "PER PER E-MAIL O PER", [(0, 2, "PER"), (2, 3, "E-MAIL"), (4, 5, "PER")]),
    ],
)
def test_spans(name, path, expected):
    assert spans(name, path) == expected


def test_a_window_within_a_text_may_begin_and_end_within_an_entity():
    assert spans("BIOES", "I-PER E-PER O B-PER", opens=False, closes=False) == [
        (0, 2, "PER"),
        (3, 4, "PER"),
    ]
    assert spans("BIOES", "I-PER E-PER O B-PER") != [(0, 2, "PER"), (3, 4, "PER")]
    assert spans("BIO", "I-PER I-PER", opens=False) == [(0, 2, "PER")]


def test_the_score_is_the_mean_probability_of_the_type():
    scheme = scheme_of(SCHEMES["BIO"], "x")
    probs = np.array([[0.1, 0.6, 0.2, 0.05, 0.05], [0.3, 0.1, 0.5, 0.05, 0.05]], np.float32)
    found = decode(np.log(probs), scheme, opens=True, closes=True)
    assert found.score.tolist() == pytest.approx([(0.8 + 0.6) / 2])


def test_nothing_is_decoded_of_nothing():
    scheme = scheme_of(SCHEMES["BIO"], "x")
    found = decode(np.empty((0, 5), np.float32), scheme, opens=True, closes=True)
    assert not found.first.size


@pytest.mark.parametrize(
    ("labels", "message"),
    [(("B-PER", "I-PER"), "no label O"), (("O", "B-PER", "I-PER", "NAME"), "without: NAME")],
)
def test_labels_of_no_scheme(labels, message):
    with pytest.raises(ConfigError, match=message):
        scheme_of(labels, "model 'x'")


def test_what_labels_stand_for():
    types = ("private_person", "PER", "First-Name", "dateOfBirth", "MISC", "Employee ID")
    mapped, ignored = entities_by_label(types, {"B-MISC": "NRP"}, "x")
    assert mapped == {
        "private_person": "PERSON",
        "PER": "PERSON",
        "First-Name": "PERSON",
        "dateOfBirth": "DATE_OF_BIRTH",
        "MISC": "NRP",
        "Employee ID": "ID",
    }
    assert ignored == ()
    mapped, ignored = entities_by_label(("PER", "LOC", "MISC"), {"loc": ""}, "x")
    assert (mapped, ignored) == ({"PER": "PERSON"}, ("MISC",))


def test_labels_that_nobody_has_or_maps():
    with pytest.raises(ConfigError, match=r"names ALIAS, which x lacks. It has LOC, PER"):
        entities_by_label(("PER", "LOC"), {"ALIAS": "PERSON"}, "x")
    with pytest.raises(ConfigError, match="No label of x stands for"):
        entities_by_label(("LABEL_1",), {}, "x")
