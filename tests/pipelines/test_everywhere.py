"""pii.everywhere: what was replaced in one document goes from all, in every spelling."""

import json

import pytest

from tests.command import unrote
from tests.corpora import write_jsonl
from unrote.corpus.schema import REPLACED_VALUES
from unrote.pipelines.verify import verify
from unrote.pipelines.verify.spellings import Spelled

MAIL, CARD, PHONE = "anna.kestrel@kestrel.org", "4539 5794 5807 3025", "+1 212-664-7665"
SHORT = "81.2.69.1"
TEXTS = {
    "first": "Nothing was found here, but her order is 4539–5794–5807–3025 in the archive of May.",
    "url": "The page at /list?of=anna%2Ekestrel%40kestrel%2Eorg&n=2 was read by nobody at all.",
    "known": f"Write to {MAIL}, pay with {CARD}, call {PHONE}, or connect to {SHORT} at night.",
    "other": "Of another sort: anna at kestrel, order 453957945807302577, and 81269 of 1 apples.",
    "short": "The pump 81-2-69-1 stands beside the pump 81-2-69-2, as the plan of the hall says.",
    "signed": "Numbers: 12126647665 without a sign is other than +1.212.664.7665 with it, we hold.",
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("everywhere")
    rows = [{"id": id_, "text": text, "by": MAIL.upper()} for id_, text in TEXTS.items()]
    write_jsonl(folder / "in" / "a.jsonl", rows[:3])
    write_jsonl(folder / "in" / "b.jsonl", rows[3:])
    return folder


def run(corpus, name, *settings):
    out = corpus / name
    chosen = [one for setting in settings for one in ("--set", setting)]
    done = unrote(
        "scrub", corpus / "in", "-o", out, "--set", "output.internal_tables=true", *chosen
    )
    assert done.status == 0, done.err
    lines = [
        json.loads(line)
        for path in sorted((out / "data").iterdir())
        for line in path.read_text("utf-8").splitlines()
    ]
    return out, {row["id"]: row for row in lines}


@pytest.fixture(scope="module")
def scrubbed(corpus):
    return run(corpus, "out", "pii.everywhere=true", 'pii.columns=["by"]')


def test_a_value_goes_from_every_document_by_one_surrogate(scrubbed):
    _, rows = scrubbed
    known = rows["known"]["text"]
    mail = known.split()[2].rstrip(",")
    card = known.partition("pay with ")[2].partition(",")[0]
    phone = known.partition("call ")[2].partition(",")[0]
    assert mail != MAIL
    assert Spelled(rows["url"]["text"]).holds({Spelled(mail).core})
    assert Spelled(rows["first"]["text"]).holds({Spelled(card).core})
    assert Spelled(rows["signed"]["text"]).holds({Spelled(phone).core})
    assert "–" in rows["first"]["text"]
    assert "%40" in rows["url"]["text"]
    assert {row["by"].lower() for row in rows.values()} == {mail.lower()}


def test_what_is_another_value_stays(scrubbed):
    _, rows = scrubbed
    assert rows["other"]["text"] == TEXTS["other"]
    assert rows["short"]["text"] == TEXTS["short"]
    assert "12126647665 without" in rows["signed"]["text"]


def test_it_is_said_and_verified(scrubbed):
    out, _ = scrubbed
    verdict = verify(str(out))
    assert verdict.ok, verdict
    checked = {check.name: check.checked for check in verdict.checks}
    assert checked["elsewhere"] == len(TEXTS)


def test_verify_sees_what_is_left(corpus):
    """A run without the setting, whose manifest says that it had it."""
    out, rows = run(corpus, "without")
    assert rows["first"]["text"] == TEXTS["first"]
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["settings"]["pii"]["everywhere"] = True
    (out / "manifest.json").write_text(json.dumps(manifest))
    failed = {check.name: check.failed for check in verify(str(out)).checks if check.failed}
    assert failed.pop("manifest")
    assert failed == {"elsewhere": 2}


def test_no_table_holds_a_value(scrubbed):
    out, _ = scrubbed
    files = [path for path in out.rglob("*.parquet") if REPLACED_VALUES.name in str(path)]
    assert files
    import pyarrow.parquet as pq  # noqa: PLC0415

    for path in files:
        rows = pq.read_table(path).to_pylist()
        said = json.dumps(rows)
        for part in ("kestrel", "4539", "5794", "6647665"):
            assert part not in said
        assert {row["template"] for row in rows} >= {"x.x@x.x", "x x x x"}


@pytest.mark.parametrize("action", ["remove", "mask", "placeholder", "hash"])
def test_every_action(corpus, action):
    out, rows = run(corpus, action, "pii.everywhere=true", f'pii.actions={{"*"="{action}"}}')
    for row in rows.values():
        assert not Spelled(row["text"]).holds({Spelled(MAIL).core, Spelled(CARD).core})
    assert verify(str(out)).ok
