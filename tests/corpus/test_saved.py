"""Which files go along with Arrow shards, and what is changed in them."""

import json

from unrote.corpus.saved import SavedFile, released_form, saved_beside
from unrote.corpus.shard import Shard


def shard(name: str, kind: str = "arrow") -> Shard:
    return Shard(0, name, f"/in/{name}", kind, "", 0, "", "")


def test_only_what_loads_the_shards():
    shards = [shard("a/train/data-0.arrow"), shard("b/x.jsonl", "jsonl")]
    beside = ["a/train/state.json", "a/train/README.md", "a/dataset_dict.json", "b/state.json"]
    beside += ["state.json", "dataset_dict.json", "a/state.json"]
    assert saved_beside(shards, [f"/in/{name}" for name in beside]) == [
        SavedFile("/in/a/dataset_dict.json", "a/dataset_dict.json"),
        SavedFile("/in/a/train/state.json", "a/train/state.json"),
    ]
    (alone,) = saved_beside([shard("data-0.arrow")], ["/in/state.json", "/dataset_dict.json"])
    assert alone == SavedFile("/in/state.json", "state.json")


def test_fingerprint_and_counts(tmp_path):
    path = tmp_path / "state.json"
    path.write_text('{"_fingerprint": "00ff", "_split": "train"}')
    state = SavedFile(str(path), "a/state.json")
    one, same, other = (
        json.loads(released_form(state, {"data/a": digest})) for digest in ("1", "1", "2")
    )
    assert one == same
    assert one["_split"] == "train"
    assert len({one["_fingerprint"], other["_fingerprint"], "00ff"}) == 3
    info = SavedFile(str(path), "dataset_info.json")
    path.write_text('{"features": {"text": 1}, "splits": {}, "dataset_size": 7}')
    assert json.loads(released_form(info, {})) == {"features": {"text": 1}}
    for content in (b'{ "features": 1 }', b"[1]", b"no JSON"):
        path.write_bytes(content)
        assert released_form(info, {}) == content
