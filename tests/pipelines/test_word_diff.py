"""What a near copy changes, in a report: right, short, and safe to show."""

import json

from hypothesis import given
from hypothesis import strategies as st

import unrote
from unrote.pipelines.report.word_diff import AROUND, CHANGED, COMPARED, word_diff

texts = st.lists(st.sampled_from(["one", "two", " ", "\n", "3.5", "…", "<b>"]), max_size=15).map(
    "".join
)


@given(texts, texts)
def test_the_parts_are_the_texts(kept, copy):
    found = word_diff(kept, copy)
    assert bool(found) is (kept != copy)
    for of, text in (("kept", kept), ("copy", copy)):
        parts = [part.text for part in found if part.of in {"both", of}]
        assert not found or "".join(parts) == text


def test_what_is_far_from_a_change_is_left_out():
    words = " ".join(f"word{n}" for n in range(100))
    same, gone, other, rest = word_diff(f"{words} a {words}", f"{words} b {words}")
    assert (gone.text, other.text) == ("a", "b")
    for part in (same, rest):
        assert "…" in part.text
        assert len(part.text) <= 2 * AROUND + 3
    (_, long) = word_diff("x", f"x {words[:1500]}")
    assert len(long.text) <= CHANGED


def test_what_the_cut_alone_changes_is_left_out():
    text = "word " * (COMPARED // 5)
    assert word_diff(text[:-2], f"new {text}"[:COMPARED])[0].text == "new "
    assert word_diff(text[:COMPARED], text[: COMPARED - 7]) == ()


def test_a_report_shows_a_copy_and_what_it_changes(tmp_path):
    words = [f"word{n}" for n in range(150)]
    changed = [*words[:70], "<script>alert(1)</script>", "\u202eleft", *words[72:]]
    rows = [" ".join(words), " ".join(words), " ".join(changed)]
    lines = [json.dumps({"text": text}) + "\n" for text in rows]
    (tmp_path / "a.jsonl").write_text("".join(lines))
    off = {"pii.enabled": False, "memorization.enabled": False}
    unrote.clean(tmp_path / "a.jsonl", tmp_path / "out", settings=off)
    (cluster,) = unrote.open_run(tmp_path / "out").report.clusters
    assert (cluster.exact, cluster.near, cluster.near_copy.row) == (1, 1, 2)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<del>word70</del><ins>&lt;script&gt;alert(1)&lt;/script&gt;" in page.replace(" ", "")
    assert "\u202e" not in page
    hidden = off | {"output.excerpts": False}
    unrote.clean(tmp_path / "a.jsonl", tmp_path / "hidden", settings=hidden)
    assert "What its first near copy changes" not in (tmp_path / "hidden/report.html").read_text()
