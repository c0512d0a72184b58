"""An index that later runs add to: several runs are as one, and nothing of it is half written."""

import itertools
import json
import shlex
import shutil
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from unittest import mock

import hypothesis
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.command import ROOT, files_below, unrote
from tests.command import settings as plain_settings
from tests.corpora import Writer, documents, rows, write_jsonl
from tests.examples import examples
from unrote.corpus.errors import OutputError
from unrote.corpus.schema import INDEXED
from unrote.dedup.index.files import Opened, columns_of
from unrote.dedup.index.layout import path_of
from unrote.pipelines.clean import clean
from unrote.pipelines.index.head import read_head, write_head
from unrote.pipelines.index.opening import open_index
from unrote.pipelines.progress import Silent
from unrote.pipelines.verify import verify

GIVEN = ("pii.enabled=false", "engine.workers=1")


def run(inputs, out, index=None, *given, fresh=False):
    named = () if index is None else (f'dedup.index="{index}"',)
    settings = plain_settings(*GIVEN, *named, *given)
    return clean([str(inputs)], str(out), settings, Silent(), kind="dedup", fresh=fresh)


def table(out, name):
    found = []
    for path in files_below(out / "tables" / name):
        found += pq.read_table(path).to_pylist()
    return found


def verdicts(*outs):
    """For each removed document of some runs: why, for which one, and how similar it was."""
    ids: dict[int, str] = {}
    found = {}
    for number, out in enumerate(outs):
        known = ids | {row["doc"]: row["id"] for row in table(out, "documents")}
        known |= {row["doc"]: row["id"] for row in table(out, "index_twins")} | {None: None}
        for row in table(out, "duplicates"):
            assert known[row["doc"]] not in found, number
            found[known[row["doc"]]] = (row["reason"], known[row["twin"]], row["similarity"])
        for name in ("spans", "uncut"):
            for row in table(out, name):
                passage = (name, known[row["doc"]], row["start"], row["end"])
                found[passage] = (
                    known[row["witness"]], row["witness_start"], row["witness_end"],
                )  # fmt: skip
    return found


def released(*outs):
    return b"".join(path.read_bytes() for out in outs for path in files_below(out / "data"))


def write_nights(folder, found, cuts):
    """A folder for each night, and one with all of them; the order is the same."""
    bounds = sorted({0, *cuts, len(found)})
    nights = []
    for n, (low, high) in enumerate(itertools.pairwise(bounds)):
        for where in (folder / f"night-{n}", folder / "all"):
            write_jsonl(where / f"{n:02d}.jsonl", found[low:high])
        nights.append(folder / f"night-{n}")
    return nights


def content(index):
    """The bytes of an index, but for what is drawn at random and where and when runs were."""
    head = read_head(index)
    runs = [(one.first, one.end) for one in head.runs]
    names = sorted({file.name for file in head.index.files})
    assert names == sorted(path.stem for path in files_below(index / "files"))
    return runs, names, {path.name: path.read_bytes() for path in files_below(index / "files")}


@pytest.fixture
def nights(tmp_path):
    return write_nights(tmp_path, rows(documents(3, 90), "m"), (40, 41, 70))


random_nights = given(
    seed=st.integers(0, 10_000),
    cuts=st.sets(st.integers(1, 35), min_size=1, max_size=3),
    settings=st.sampled_from(
        [
            (),
            ("dedup.near.threshold=0.5", "dedup.near.permutations=64"),
            ("dedup.near.enabled=false", "dedup.passages.enabled=false"),
            ("dedup.passages.min_bytes=24", "dedup.passages.boundary=character"),
            ("dedup.passages.min_bytes=40", "dedup.passages.boundary=word"),
            ("dedup.near.unit=character", "dedup.near.ngram=8", "dedup.exact.normalise=case"),
        ]
    ),
)


@hypothesis.settings(max_examples=2)
@random_nights
def test_several_nights_are_as_one_run(tmp_path_factory, seed, cuts, settings):
    require_as_one_run(tmp_path_factory, seed, cuts, settings)


@pytest.mark.long
@examples(60)
@random_nights
def test_any_nights_are_as_one_run(tmp_path_factory, seed, cuts, settings):
    require_as_one_run(tmp_path_factory, seed, cuts, settings)


def related(seed, count):
    """Texts most of which are copies, near-copies, or hold passages of others, which are so too."""
    writer = Writer(seed)
    draw, texts = writer.random, [writer.text(8)]
    while len(texts) < count:
        one, other = draw.choice(texts), draw.choice(texts)
        middle = len(other) // 2
        texts.append(
            draw.choice([
                writer.text(draw.randint(3, 12)),
                one,
                writer.near_copy(one),
                one + other[: middle + draw.randint(0, 50)],
                f"{writer.text(3)}\n{one[len(one) // 3 :]}\n{other[middle:]}",
            ])
        )  # fmt: skip
    return [respelled(text.replace("e", "é"), n) for n, text in enumerate(texts)]


def respelled(text, number):
    """Every third text with its accents behind their letters."""
    return unicodedata.normalize("NFC" if number % 3 else "NFD", text)


def require_as_one_run(tmp_path_factory, seed, cuts, settings):
    folder = tmp_path_factory.mktemp("nights")
    nights = write_nights(folder, rows(related(seed, 36), "m"), cuts)
    outs = [folder / f"out-{n}" for n in range(len(nights))]
    for night, out in zip(nights, outs, strict=True):
        run(night, out, folder / "index", *settings)
    run(folder / "all", folder / "one", folder / "other", *settings)
    run(folder / "all", folder / "plain", None, *settings)
    for whole in (folder / "one", folder / "plain"):
        assert verdicts(*outs) == verdicts(whole)
        assert released(*outs) == released(whole)
    shutil.rmtree(folder)


def test_the_first_night_is_the_same_with_later_ones(nights, tmp_path):
    """Twins are of any earlier night, and `verify` holds each night."""
    outs = [tmp_path / f"out-{n}" for n in range(len(nights))]
    for night, out in zip(nights, outs, strict=True):
        report = run(night, out, tmp_path / "index")
        assert verify(str(out)).ok
    removed = [row for row in table(outs[-1], "duplicates") if row["twin"] < 0]
    runs = {row["run"] for row in table(outs[-1], "index_twins")}
    assert removed
    assert len(runs) > 1
    assert any(
        f"{len(removed)} documents went as a copy of one in the index" in n for n in report.notes
    )
    shown = unrote("show", outs[-1], removed[0]["doc"])
    assert f"document {removed[0]['twin'] - INDEXED} of the index (id m-" in shown.out.replace(
        "\n", ""
    )


def test_what_is_released_comes_first(tmp_path):
    """Whatever the keep policy says: a later night's longer copy is a copy of the shorter one."""
    text = " ".join(f"word{n}" for n in range(80))
    write_jsonl(tmp_path / "a" / "a.jsonl", [{"id": "short", "text": text}])
    write_jsonl(
        tmp_path / "b" / "b.jsonl",
        [{"id": "x", "text": f"{text} more"}, {"id": "y", "text": f"{text} more words"}],
    )
    for name in "ab":
        run(tmp_path / name, tmp_path / f"out-{name}", tmp_path / "i", "dedup.near.keep=longest")
    found = verdicts(tmp_path / "out-a", tmp_path / "out-b")
    assert {doc: twin for doc, (_, twin, _) in found.items()} == {"x": "short", "y": "short"}


class TestCommit:
    def test_a_run_that_was_stopped_adds_the_same(self, nights, tmp_path):
        run(nights[0], tmp_path / "a", tmp_path / "whole")
        run(nights[1], tmp_path / "b", tmp_path / "whole")
        run(nights[0], tmp_path / "c", tmp_path / "torn")
        before = content(tmp_path / "torn")
        with (
            mock.patch("unrote.pipelines.index.added.write_head", side_effect=KeyboardInterrupt),
            pytest.raises(KeyboardInterrupt),
        ):
            run(nights[1], tmp_path / "d", tmp_path / "torn")
        assert read_head(tmp_path / "torn").number == 1
        assert not (tmp_path / "d" / "manifest.json").exists()
        assert before[0] == [(one.first, one.end) for one in read_head(tmp_path / "torn").runs]
        run(nights[1], tmp_path / "d", tmp_path / "torn")
        assert content(tmp_path / "torn") == content(tmp_path / "whole")
        assert verdicts(tmp_path / "d") == verdicts(tmp_path / "b")

    def test_one_that_was_stopped_behind_it_adds_nothing_more(self, nights, tmp_path):
        with (
            mock.patch("unrote.pipelines.run.RunFolder.finish", side_effect=KeyboardInterrupt),
            pytest.raises(KeyboardInterrupt),
        ):
            run(nights[0], tmp_path / "a", tmp_path / "index")
        before = read_head(tmp_path / "index")
        assert before.number == 1
        run(nights[0], tmp_path / "a", tmp_path / "index")
        assert read_head(tmp_path / "index") == before
        assert verify(str(tmp_path / "a")).ok
        manifest = json.loads((tmp_path / "a" / "manifest.json").read_bytes())
        assert manifest["index"]["head"] == 1

    def test_a_night_that_is_in_it_is_not_added_again(self, nights, tmp_path):
        run(nights[0], tmp_path / "a", tmp_path / "index")
        before = content(tmp_path / "index")
        run(nights[0], tmp_path / "a", tmp_path / "index")  # finished: its report is given again
        for again in ({"out": tmp_path / "b"}, {"out": tmp_path / "a", "fresh": True}):
            with pytest.raises(OutputError, match="has this input already: the run"):
                run(nights[0], index=tmp_path / "index", **again)
        assert content(tmp_path / "index") == before

    def test_a_run_is_not_resumed_on_another_state_of_the_index(self, nights, tmp_path):
        with (
            mock.patch("unrote.pipelines.clean.release", side_effect=KeyboardInterrupt),
            pytest.raises(KeyboardInterrupt),
        ):
            run(nights[0], tmp_path / "a", tmp_path / "index")
        run(nights[1], tmp_path / "b", tmp_path / "index")
        with pytest.raises(OutputError, match=r"has moved on since .* \(commit 0 then, 1 now\)"):
            run(nights[0], tmp_path / "a", tmp_path / "index")
        run(nights[0], tmp_path / "a", tmp_path / "index", fresh=True)

    def test_many_nights_have_few_files_of_keys(self, tmp_path):
        found = rows(documents(5, 40), "m")
        for n, night in enumerate(write_nights(tmp_path, found, range(1, 40))[:20]):
            run(night, tmp_path / f"out-{n}", tmp_path / "index", "dedup.near.enabled=false")
        head = read_head(tmp_path / "index")
        assert len(head.runs) == 20
        assert len(head.index.keys) < 10
        content(tmp_path / "index")


class TestRefused:
    def test_other_settings_are_named(self, nights, tmp_path):
        run(nights[0], tmp_path / "a", tmp_path / "index")
        with pytest.raises(OutputError) as refused:
            run(nights[1], tmp_path / "b", tmp_path / "index", "dedup.near.threshold=0.7")
        said = "was made with dedup.near.threshold = 0.8 and this run has 0.7."
        assert said in str(refused.value)
        assert len(str(refused.value).splitlines()) == 1

    def test_another_key(self, nights, tmp_path, monkeypatch):
        write_jsonl(tmp_path / "in" / "a.jsonl", [{"text": "a few words"}])
        given = ("pii.enabled=true", "pii.names=false")
        run(tmp_path / "in", tmp_path / "a", tmp_path / "index", *given)
        monkeypatch.setenv("UNROTE_KEY", "another key, which is as long as it has to be")
        with pytest.raises(OutputError, match=r"with the key \w+ and this run has the key \w+"):
            run(nights[0], tmp_path / "b", tmp_path / "index", *given)

    def test_a_key_that_was_changed_on_purpose(self, tmp_path, monkeypatch):
        """Duplicates are found as before, and what is released has surrogates of the new key."""
        given = ("pii.enabled=true", "pii.names=false")
        mail = {"text": "write to ada.lovelace@lovelace-mills.net about the engine"}
        write_jsonl(tmp_path / "1" / "a.jsonl", [mail])
        write_jsonl(tmp_path / "2" / "a.jsonl", [mail, {"text": f"{mail['text']} and its notes"}])
        index = tmp_path / "index"
        run(tmp_path / "1", tmp_path / "a", index, *given)
        before = read_head(index).key
        monkeypatch.setenv("UNROTE_KEY", "another key, which is as long as it has to be")
        with pytest.raises(OutputError, match="unrote index rekey"):
            run(tmp_path / "2", tmp_path / "b", index, *given)
        done = unrote("index", "rekey", index)
        now = read_head(index).key
        assert done.out == f"the key was {before[:8]}, and is {now[:8]}\n"
        assert now != before
        run(tmp_path / "2", tmp_path / "b", index, *given)
        (one,) = (json.loads(line) for line in released(tmp_path / "b").splitlines())
        assert one["text"].endswith("notes")
        old = json.loads(released(tmp_path / "a"))["text"]
        assert old.split()[2] not in one["text"]
        assert unrote("index", "verify", index).status == 0
        assert verify(str(tmp_path / "b")).ok

    @pytest.mark.parametrize(
        ("given", "asked"),
        [
            ("dedup.passages.min_remaining=9", "--set dedup.passages.min_remaining=0"),
            ("dedup.passages.method=suffix-array", "--set dedup.passages.method=anchors"),
            ("dedup.exact.enabled=false", "--set dedup.exact.enabled=true"),
            ("dedup.near.method=datasketch", "--set dedup.near.method=rounds"),
        ],
    )
    def test_what_depends_on_later_documents(self, tmp_path, given, asked):
        write_jsonl(tmp_path / "in" / "a.jsonl", [{"text": "a"}])
        settings = ("pii.enabled=false", given)
        sets = [one for name in settings for one in ("--set", name)]
        done = unrote(
            "dedup", tmp_path / "in", "-o", tmp_path / "o", "--index", tmp_path / "i", *sets
        )
        assert done.status == 2
        assert asked in done.err
        assert not (tmp_path / "i").exists()

    def test_folders_that_are_none_or_in_the_way(self, nights, tmp_path):
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "notes.txt").write_text("mine")
        for index, said in (
            (tmp_path / "full", "is not empty and is no index"),
            (tmp_path / "out" / "index", "must lie outside OUT"),
            (nights[0] / "index", "lies inside the input"),
            (nights[0] / "00.jsonl" / "index", "lies inside the input"),
        ):
            with pytest.raises(OutputError, match=said):
                run(nights[0], tmp_path / "out", index)

    def test_one_run_at_a_time(self, nights, tmp_path):
        settings = plain_settings(*GIVEN, f'dedup.index="{tmp_path / "index"}"')
        with (
            open_index(str(tmp_path / "index"), settings, "", [], str(tmp_path / "x")),
            pytest.raises(OutputError, match="another run is writing to"),
        ):
            run(nights[0], tmp_path / "a", tmp_path / "index")

    def test_a_damaged_head(self, nights, tmp_path):
        run(nights[0], tmp_path / "a", tmp_path / "index")
        path = tmp_path / "index" / "heads" / "00000001.json"
        head = json.loads(path.read_bytes())
        path.write_text(json.dumps(head | {"next": 1}))
        with pytest.raises(OutputError, match=r"00000001\.json is damaged"):
            run(nights[1], tmp_path / "b", tmp_path / "index")


class TestMaintenance:
    @pytest.fixture
    def index(self, nights, tmp_path):
        for n, night in enumerate(nights[:3]):
            run(night, tmp_path / f"out-{n}", tmp_path / "index")
        return tmp_path / "index"

    def test_info(self, index, tmp_path):
        said = unrote("index", "info", index)
        assert said.status == 0
        assert "run 3: " in said.out
        assert str(tmp_path / "out-2") in said.out
        assert "dedup.near.threshold = 0.8" in said.out
        missing = unrote("index", "info", tmp_path / "none")
        assert missing.status == 2
        assert "is no index" in missing.err

    def test_compact_changes_no_answer(self, index, nights, tmp_path):
        shutil.copytree(index, tmp_path / "compacted")
        done = unrote("index", "compact", tmp_path / "compacted")
        assert done.out.splitlines() == ["15 files before, 5 now"]
        assert unrote("index", "verify", tmp_path / "compacted").status == 0
        assert unrote("index", "compact", tmp_path / "compacted").out == "5 files before, 5 now\n"
        run(nights[3], tmp_path / "a", index)
        run(nights[3], tmp_path / "b", tmp_path / "compacted")
        assert verdicts(tmp_path / "a") == verdicts(tmp_path / "b")
        assert released(tmp_path / "a") == released(tmp_path / "b")

    def test_verify_sees_any_changed_file(self, index):
        assert unrote("index", "verify", index).out == "The index is whole.\n"
        for path in files_below(index / "files"):
            content = path.read_bytes()
            path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
            assert unrote("index", "verify", index).status == 1
            path.unlink()
            done = unrote("index", "verify", index)
            assert done.status == 1
            assert f"{path.name} is missing" in done.out
            path.write_bytes(content)
        assert unrote("index", "verify", index).status == 0

    def test_verify_compares_keys_and_texts(self, index, tmp_path):
        """A file that is whole and of another index is no answer."""
        head = read_head(index)
        for name in ("keys", "parts"):
            one, two, *rest = getattr(head.index, name)
            if name == "keys":
                mixed = (replace(one, bands=two.bands), two, *rest)
            else:
                mixed = (replace(one, texts=two.texts), two, *rest)
            changed = head.followed_by(index=replace(head.index, **{name: mixed}))
            shutil.copytree(index, tmp_path / name)
            write_head(tmp_path / name, changed)
            done = unrote("index", "verify", tmp_path / name)
            assert done.status == 1, name


class TestForget:
    TEXT = " ".join(f"unheard{n}" for n in range(60))

    @pytest.fixture
    def index(self, tmp_path):
        """A document that one other is like, others that are not like it, and a night more."""
        found = [{"id": "person-7", "text": self.TEXT}, {"id": "like-it", "text": self.TEXT + " x"}]
        write_jsonl(tmp_path / "a" / "a.jsonl", [*found, *rows(documents(3, 20), "m")])
        write_jsonl(tmp_path / "b" / "b.jsonl", rows(documents(4, 10), "n"))
        for name in "ab":
            run(tmp_path / name, tmp_path / f"out-{name}", tmp_path / "index")
        return tmp_path / "index"

    def again(self, tmp_path, index):
        write_jsonl(
            tmp_path / "c" / "c.jsonl",
            [
                {"id": "again", "text": f"  {self.TEXT}"},
                {"id": "other", "text": "some other words"},
            ],
        )
        run(tmp_path / "c", tmp_path / "out-c", index)
        return [json.loads(line)["id"] for line in released(tmp_path / "out-c").splitlines()]

    def test_a_copy_is_one_before(self, index, tmp_path):
        assert self.again(tmp_path, index) == ["other"]

    def test_a_copy_is_none_behind_it(self, index, tmp_path):
        done = unrote("index", "forget", index, "--id", "person-7")
        said = "1 documents were forgotten, and 1 near-duplicates of them\n"
        assert (done.status, done.out) == (0, said)
        assert unrote("index", "verify", index).status == 0
        assert self.again(tmp_path, index) == ["again", "other"]

    def test_nothing_of_it_is_left(self, index, tmp_path):
        """Neither its id nor text, nor any number that is made of it."""
        write_jsonl(tmp_path / "p" / "p.jsonl", [{"id": "person-7", "text": self.TEXT}])
        run(tmp_path / "p", tmp_path / "out-p", tmp_path / "alone")
        (keys,) = read_head(tmp_path / "alone").index.keys
        folder = str(tmp_path / "alone")
        high, low, _ = columns_of(folder, keys.fingerprints)
        bucket, _ = columns_of(folder, keys.bands)
        anchor, _ = columns_of(folder, keys.anchors)
        assert len(anchor)
        numbers = np.concatenate([high, low, bucket, anchor])
        assert self._found(index, numbers)
        unrote("index", "forget", index, "--id", "person-7")
        assert self._found(index, numbers) == set()

    def test_a_passage_of_it_is_none_of_a_later_document(self, index, tmp_path):
        for n in range(2):
            own = " ".join(f"own{n}{m}" for m in range(60))
            row = {"id": f"p{n}", "text": f"{own}\n\n{self.TEXT}\n\nThe end of {n}."}
            write_jsonl(tmp_path / f"p{n}" / "p.jsonl", [row])
        shutil.copytree(index, tmp_path / "whole")
        run(tmp_path / "p0", tmp_path / "cut", tmp_path / "whole")
        assert [row["witness"] < 0 for row in table(tmp_path / "cut", "spans")] == [True]
        shown = unrote("show", tmp_path / "cut", "p0").out
        assert "(id person-7, of its run 1)" in " ".join(shown.split())
        unrote("index", "forget", index, "--id", "person-7")
        run(tmp_path / "p0", tmp_path / "uncut", index)
        assert table(tmp_path / "uncut", "spans") == []
        run(tmp_path / "p1", tmp_path / "later", index)
        assert [row["id"] for row in table(tmp_path / "later", "index_twins")] == ["p0"]
        assert verify(str(tmp_path / "later")).ok

    def _found(self, index, numbers):
        head = read_head(index)
        found = set()
        for file in dict.fromkeys(head.index.files):
            for batch in Opened(path_of(str(index), file)).batches():
                for name in batch.schema.names:
                    values = set(batch[name].to_pylist())
                    if values & {"person-7", self.TEXT, f"{self.TEXT} x", *numbers.tolist()}:
                        found.add(name)
        names = {f"{file.name}.arrow" for file in head.index.files}
        assert {path.name for path in files_below(index / "files")} == names
        raw = b"".join(path.read_bytes() for path in files_below(index))
        texts = [b"person-7", b"unheard12"]
        return found | {text for text in [*texts, *(n.tobytes() for n in numbers)] if text in raw}

    def test_it_may_be_kept_from_coming_back(self, index, tmp_path):
        done = unrote("index", "forget", index, "--id", "person-7", "--block")
        assert done.out.endswith("; 2 may not come back\n")
        assert self.again(tmp_path, index) == ["other"]
        (row,) = table(tmp_path / "out-c", "rejects")
        assert row["reason"] == "the index was told to forget this text and not to take it again"
        checks = verify(str(tmp_path / "out-c")).checks
        assert [check.failures for check in checks if check.failed] == []
        assert unrote("index", "verify", index).status == 0

    def test_what_is_old(self, index, tmp_path):
        assert unrote("index", "forget", index, "--older-than", "1d").out.startswith("0 documents")
        with mock.patch("unrote.pipelines.index.maintenance.datetime") as clock:
            clock.now.return_value = datetime.now(UTC) + timedelta(days=3)
            done = unrote("index", "forget", index, "--older-than", "2d")
        assert done.status == 0
        assert not done.out.startswith("0 documents")
        assert read_head(index).index.files == ()
        assert self.again(tmp_path, index) == ["again", "other"]

    def test_a_clock_that_was_set_back(self, index, tmp_path):
        """What was added at a time that has not come yet is not old; nights come by their order."""
        with mock.patch("unrote.pipelines.index.maintenance.datetime") as clock:
            clock.now.return_value = datetime.now(UTC) - timedelta(days=3)
            done = unrote("index", "forget", index, "--older-than", "1d")
        assert done.out.startswith("0 documents")

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            (("--id", "nobody"), "has no document with the id nobody. Nothing was forgotten."),
            (("--older-than", "soon"), "--older-than soon: give days or weeks"),
            ((), "name what is to be forgotten"),
        ],
    )
    def test_what_is_not_there(self, index, given, said):
        before = content(index)
        done = unrote("index", "forget", index, *given)
        assert done.status == 2
        assert said in done.err
        assert content(index) == before


def test_the_walk_through(tmp_path, monkeypatch):
    """docs/nightly.md, command by command; the third night is stopped once."""
    lines = (ROOT / "docs" / "nightly.md").read_text(encoding="utf-8").splitlines()
    commands = [
        shlex.split(line, comments=True)[1:] for line in lines if line.startswith("unrote ")
    ]
    monkeypatch.chdir(tmp_path)
    found = rows(documents(3, 60), "m")
    for n, low in enumerate((0, 20, 40, 50), 1):
        write_jsonl(tmp_path / f"2026-01-0{n}" / "a.jsonl", found[low : low + 20])
    nights = [command for command in commands if command[0] == "clean"]
    assert len(nights) == 4
    (tmp_path / "new.key").write_text("another key, which is as long as it has to be")
    (tmp_path / "new.key").chmod(0o600)
    for command in nights[:2]:
        assert unrote(*command, "-q").status == 0
    with mock.patch("unrote.pipelines.index.added.write_head", side_effect=KeyboardInterrupt):
        assert unrote(*nights[2], "-q").status == 3
    assert len(read_head(tmp_path / "index").runs) == 2
    assert unrote(*nights[2], "-q").status == 0
    assert len(read_head(tmp_path / "index").runs) == 3
    lines = released(tmp_path / "out" / "2026-01-01").splitlines()
    kept = [json.loads(line)["id"] for line in lines]
    for command in commands:
        if command[0] != "clean":
            done = unrote(*(kept.pop(0) if word == "ID" else word for word in command))
            assert done.status == 0, (command, done.err)
    monkeypatch.delenv("UNROTE_KEY")
    (rekey,) = {tuple(command) for command in commands if "rekey" in command}
    assert "the key was " in unrote(*rekey).out
    done = unrote(*nights[3], "-q")
    assert done.status == 0, done.err
    assert unrote("index", "verify", "index").status == 0
