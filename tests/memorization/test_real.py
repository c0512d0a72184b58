"""Scores on labels that others published, tried on files made here in their formats."""

import csv

import pytest
import torch

from benchmarks.memorization import real
from tests.memorization import tiny
from unrote.memorization.tokenizer import tokenizer_of

REPEATED = [f"row {n}; " * 30 for n in range(12)]
ORDINARY = [" ".join(tiny.SENTENCES[n % 4 :])[n:] for n in range(12)]
LENGTH = 40


def tensor(texts):
    encoded = tokenizer_of("default").encode_batch(texts, add_special_tokens=False)
    return torch.tensor([one.ids[:LENGTH] for one in encoded])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("real")
    torch.save(tensor(REPEATED), folder / "memorized.pt")
    torch.save(torch.stack([tensor(ORDINARY), tensor(REPEATED)], dim=1), folder / "two.pt")
    torch.save(tensor(ORDINARY), folder / "random.pt")
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["index", "perplexity", "memorized", "is_code", "shortened_text", "Note"])
        rows.writerows([n, 1.5, True, False, text, ""] for n, text in enumerate(REPEATED))
        rows.writerows([n, 9.5, False, False, text, ""] for n, text in enumerate(ORDINARY))
        rows.writerow([99, 1.5, True, False, "#ERROR!", ""])
    return folder


def cells(printed):
    """{score: [(AUROC, low, high), …]} of the table."""
    found = {}
    for line in printed.splitlines()[2:]:
        name, *values = line.strip("| ").split(" | ")
        numbers = (one.replace("[", "").replace("]", "").replace(",", "").split() for one in values)
        found[name] = [tuple(map(float, each)) for each in numbers]
    return found


def test_every_score_is_printed_with_its_interval(files, capsys):
    memorized, others = files / "memorized.pt", files / "random.pt"
    pair = ["--pair", "pair", str(memorized), str(others), "default"]
    assert real.main([*pair, "--table", "table", str(files / "labels.csv"), "--rounds", "20"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("| score | pair (12 of 24 memorized) | table (12 of 24 memorized) |")
    found = cells(printed)
    assert len(found) == 15
    assert all(low <= middle <= high for row in found.values() for middle, low, high in row)
    assert [middle for middle, *_ in found["repetition"]] == [1.0, 1.0]
    assert [middle for middle, *_ in found["category: reconstruct"]] == [1.0, 1.0]


def test_a_text_may_be_one_of_several(files):
    assert real.token_ids(files / "two.pt", 0) == tensor(ORDINARY).tolist()
    assert real.token_ids(files / "two.pt", 1) == tensor(REPEATED).tolist()


def test_other_files_are_refused(files, tmp_path, capsys):
    torch.save(torch.rand(3, 4), tmp_path / "floats.pt")
    (tmp_path / "other.csv").write_text("text,label\na,1\n")
    with pytest.raises(SystemExit):
        real.main([])
    pair = [str(tmp_path / "floats.pt"), str(files / "random.pt"), "default"]
    assert real.main(["--pair", "p", *pair]) == 2
    assert "give a tensor of token ids" in capsys.readouterr().err
    assert real.main(["--table", "t", str(tmp_path / "other.csv")]) == 2
    assert "columns text, label" in capsys.readouterr().err
    assert real.main(["--table", "t", str(tmp_path / "none.csv")]) == 2
