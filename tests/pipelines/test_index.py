"""An index that later runs add to: several runs are as one, and nothing of it is half written."""

import itertools
import json
import shutil
from unittest import mock

import hypothesis
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.command import files_below, unrote
from tests.command import settings as plain_settings
from tests.corpora import documents, rows, write_jsonl
from tests.examples import examples
from unrote.corpus.errors import OutputError
from unrote.corpus.schema import INDEXED
from unrote.pipelines.clean import clean
from unrote.pipelines.index.head import read_head
from unrote.pipelines.index.opening import open_index
from unrote.pipelines.progress import Silent
from unrote.pipelines.verify import verify

GIVEN = ("dedup.passages.enabled=false", "pii.enabled=false", "engine.workers=1")


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
        named = {row["doc"]: row["id"] for row in table(out, "index_twins")}
        for row in table(out, "duplicates"):
            twin = named[row["twin"]] if row["twin"] < 0 else known[row["twin"]]
            assert known[row["doc"]] not in found, number
            found[known[row["doc"]]] = (row["reason"], twin, row["similarity"])
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
            ("dedup.near.enabled=false",),
            ("dedup.near.unit=character", "dedup.near.ngram=8", "dedup.exact.normalise=case"),
        ]
    ),
)


@hypothesis.settings(max_examples=3)
@random_nights
def test_several_nights_are_as_one_run(tmp_path_factory, seed, cuts, settings):
    require_as_one_run(tmp_path_factory, seed, cuts, settings)


@pytest.mark.long
@examples(60)
@random_nights
def test_any_nights_are_as_one_run(tmp_path_factory, seed, cuts, settings):
    require_as_one_run(tmp_path_factory, seed, cuts, settings)


def require_as_one_run(tmp_path_factory, seed, cuts, settings):
    folder = tmp_path_factory.mktemp("nights")
    nights = write_nights(folder, rows(documents(seed, 36), "m"), cuts)
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

    @pytest.mark.parametrize(
        ("given", "asked"),
        [
            ("dedup.passages.enabled=true", "--set dedup.passages.enabled=false"),
            ("dedup.exact.enabled=false", "--set dedup.exact.enabled=true"),
            ("dedup.near.method=datasketch", "--set dedup.near.method=rounds"),
        ],
    )
    def test_what_depends_on_later_documents(self, tmp_path, given, asked):
        write_jsonl(tmp_path / "in" / "a.jsonl", [{"text": "a"}])
        sets = [one for name in (*GIVEN, given) for one in ("--set", name)]
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
