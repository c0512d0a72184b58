"""Evaluation sets held against a corpus, through the commands."""

import json

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

import unrote as library
from tests.command import unrote, written
from unrote.pipelines.config import EvaluationSet, Settings
from unrote.pipelines.evaluation_sets import with_digests

QUESTION = (
    "Which of the four rivers that rise in these mountains carries the most water in the month of "
    "May, when the snow melts, and which the least?"
)
OTHER = (
    "How many apples are left in the basket after each of the nine children has taken two of them "
    "and three more have rolled under the table?"
)
RULES = '[[rule]]\nmeasure = "contaminated_share"\nlimit = 0.1\n'
OFF = ("--set", "pii.enabled=false", "-q")


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    rows = [
        {"text": "A page about geography. " + QUESTION.upper() + " The answer is at the end."},
        {"text": "Another page, about cooking, that shares nothing with any question at all."},
        {"text": "Which of the four rivers that rise in these mountains is the longest one?"},
    ]
    lines = [json.dumps(row) for row in rows]
    (tmp_path / "in" / "pages.jsonl").write_text("\n".join(lines) + "\n")
    items = [{"data": {"q": QUESTION}, "id": "rivers"}, {"data": {"q": OTHER}, "id": "apples"}]
    (tmp_path / "exam.jsonl").write_text("\n".join(map(json.dumps, items)) + "\n")
    (tmp_path / "policy.toml").write_text(RULES)
    return tmp_path


def test_a_gate_names_documents_and_sets(corpus):
    args = ("gate", "in", "--policy", "policy.toml", "--against", "exam.jsonl#data.q", *OFF)
    told = json.loads(unrote(*args, "--format=json", "-o", "out").out)
    (rule,) = told["rules"]
    assert (rule["measured"], rule["passed"], rule["documents"]) == (0.5, False, ["pages.jsonl#0"])
    run = library.open_run("out")
    (found,) = run.report.contamination.sets
    assert (found.set, found.items, found.contaminated) == ("exam.jsonl", 2, 1)
    assert (found.gpt3, found.llama2, found.olmo) == (1, 1, 1)
    assert found.overlaps == (1, 0, 0, 0, 0, 0, 1)
    rows = run.table("contamination").to_pylist()
    assert [(row["item"], row["words"], row["contaminated"]) for row in rows] == [
        ("rivers", 27, True), ("rivers", 10, False)
    ]  # fmt: skip
    text = run.records([0])[0]["text"]
    assert text[rows[0]["start"] : rows[0]["end"]] == QUESTION.upper().rstrip("?")
    assert "exam.jsonl" in (corpus / "out/report.html").read_text()
    # Another content under the same name is another run, and a digest is held to.
    with (corpus / "exam.jsonl").open("a") as file:
        file.write(json.dumps({"data": {"q": "x " * 9}}) + "\n")
    assert "contamination.sets was" in unrote(*args, "-o", "out").err
    assert json.loads(unrote(*args, "--format=json").out)["rules"][0]["measured"] == 1 / 3


@pytest.mark.parametrize("action", ["cut", "remove"])
def test_what_contaminates_goes(corpus, action):
    """And verify finds each byte accounted for, and an engine with other workers the same bytes."""
    args = ("--against", "exam.jsonl#data.q", "--set", f"contamination.action={action}", *OFF)
    assert unrote("clean", "in", "-o", "out", *args).status == 0
    rows = (corpus / "out/data/pages.jsonl").read_text().splitlines()
    texts = [json.loads(row)["text"] for row in rows]
    assert len(texts) == (3 if action == "cut" else 2)
    assert not any("SNOW" in text for text in texts)
    assert any("four rivers" in text for text in texts)  # ten words are no contamination
    done = unrote("verify", "out")
    assert done.status == 0, done.out
    report = library.open_run("out").report
    gone = report.total.contaminated
    assert gone.documents == 1
    assert report.total.bytes == report.total.kept.bytes + gone.bytes
    if action == "remove":
        assert report.rejects.reasons[0].reason.startswith("contaminates an evaluation set")
    before = (corpus / "out/report.json").read_bytes()
    assert unrote("report", "out").status == 0
    assert (
        json.loads(before)["total"]
        == json.loads((corpus / "out/report.json").read_bytes())["total"]
    )
    unrote("clean", "in", "-o", "again", *args, "--set", "engine.workers=1")
    assert written(corpus / "again") == written(corpus / "out")


def test_what_was_not_cut_is_found_by_verify(corpus):
    args = ("--against", "exam.jsonl#data.q", "--set", "contamination.action=cut", *OFF)
    assert unrote("clean", "in", "-o", "out", *args).status == 0
    released = corpus / "out/data/pages.jsonl"
    released.write_bytes((corpus / "in/pages.jsonl").read_bytes())
    assert unrote("verify", "out").status == 1


def test_formats_and_fields(corpus):
    table = pa.table({"q": [QUESTION, OTHER], "choices": [["a b", "c"], ["d", "e"]]})
    pq.write_table(table, "exam.parquet")
    pacsv.write_csv(table.select(["q"]), "exam.csv")
    sets = ("exam.parquet#q,choices[]", "exam.csv#q", "exam.jsonl#data.q")
    against = [part for one in sets for part in ("--against", one)]
    done = unrote("gate", "in", "--policy", "policy.toml", *against, *OFF, "-o", "out")
    assert done.status == 1
    found = library.open_run("out").report.contamination.sets
    assert [(one.set, one.items, one.contaminated) for one in found] == [
        (name, 2, 1) for name in ("exam.parquet", "exam.csv", "exam.jsonl")
    ]
    (corpus / "policy.toml").write_text(RULES + 'set = "exam.xml"\n')
    done = unrote("gate", "in", "--policy", "policy.toml", *against, *OFF, "-o", "out")
    assert (done.status, "'exam.csv'" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("against", "said"),
    [
        (("exam.jsonl",), "no field"),
        (("none.jsonl",), "none.jsonl"),
        (("short.jsonl",), "8 words"),
        (("empty.jsonl",), "no item"),
        (("exam.jsonl#data.q", "exam.jsonl#data.q"), "names"),
        ((), "no evaluation set"),
    ],
)
def test_a_set_that_cannot_be_looked_for_is_an_error(corpus, against, said):
    (corpus / "short.jsonl").write_text('{"text": "too short"}\n')
    (corpus / "empty.jsonl").write_text("\n")
    given = [part for one in against for part in ("--against", one)]
    done = unrote("gate", "in", "--policy", "policy.toml", *given, *OFF)
    assert done.status in (2, 3)
    assert said in done.err


def test_a_digest_in_the_settings_is_held_to(corpus):
    def of(digest):
        one = EvaluationSet(path="exam.jsonl", text="data.q", digest=digest)
        plain = Settings()
        ours = plain.contamination.model_copy(update={"sets": [one]})
        return plain.model_copy(update={"contamination": ours})

    (found,) = with_digests(of("")).contamination.sets
    assert with_digests(of(found.digest)).contamination.sets == [found]
    with pytest.raises(library.InputChanged, match=found.digest):
        with_digests(of("0" * 32))


@pytest.mark.parametrize("action", ["cut", "remove"])
def test_with_personal_data_and_memorization(corpus, action):
    """Masks, scores and findings speak of what is released, and verify has nothing to say."""
    with (corpus / "in/pages.jsonl").open("a") as file:
        text = f"Ask jane.roe@acme.org. {QUESTION} Then ask john@acme.org, who knows more of that."
        file.write(json.dumps({"text": text}) + "\n")
    settings = {
        "contamination.sets": [{"path": "exam.jsonl", "text": "data.q"}],
        "contamination.action": action,
        "memorization.max_tokens": 2000,
        "memorization.masks": "all",
    }
    run = library.clean("in", "out", settings=settings)
    assert run.report.total.contaminated.documents == 2
    assert "snow" not in (corpus / "out/data/pages.jsonl").read_text().lower()
    verdict = library.verify("out")
    assert verdict.ok, [check for check in verdict.checks if check.failed]
