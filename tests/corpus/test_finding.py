import fsspec
import pytest

from tests.corpus.helpers import lines, pack, read_all, stored
from unrote.corpus.errors import InputChanged, InputError, StorageError
from unrote.corpus.finding import find, look
from unrote.corpus.pinning import check_sizes, pin

ONE = lines({"text": "a"})


def names(*inputs):
    return [shard.name for shard in find([str(given) for given in inputs])]


def test_folders_are_searched_and_sorted(tmp_path):
    for name in ["b.jsonl", "a/z.jsonl.gz", "a/b/c.parquet", "x.txt", "a/y.JSONL.ZST"]:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(b"x")
    for name in ["_SUCCESS", ".hidden", ".git/config", "a/_tmp/a.jsonl", "a/.b.jsonl"]:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(b"x")
    found = find([tmp_path])
    assert [(s.number, s.name, s.format, s.compression, s.source) for s in found] == [
        (0, "a/b/c.parquet", "parquet", "", "a"),
        (1, "a/y.JSONL.ZST", "jsonl", "zst", "a"),
        (2, "a/z.jsonl.gz", "jsonl", "gz", "a"),
        (3, "b.jsonl", "jsonl", "", tmp_path.name),
        (4, "x.txt", "txt", "", tmp_path.name),
    ]
    assert found[3].url == str(tmp_path / "b.jsonl")
    assert names(tmp_path / "a" / "**" / "*.parquet") == ["b/c.parquet"]
    assert names(tmp_path / "*.jsonl") == ["b.jsonl"]
    assert names(tmp_path / "?") == ["a/b/c.parquet", "a/y.JSONL.ZST", "a/z.jsonl.gz"]
    assert names(tmp_path / "x.txt", tmp_path / "b.jsonl") == ["b.jsonl", "x.txt"]
    assert names(tmp_path / "a" / "_tmp" / "a.jsonl") == ["a.jsonl"]


def test_equal_names_are_told_apart_by_the_common_folder(tmp_path):
    stored(tmp_path / "in" / "web", ONE), stored(tmp_path / "in" / "books" / "x", ONE)
    found = find([tmp_path / "in" / "web", tmp_path / "in" / "books" / "x"])
    assert [(s.name, s.source) for s in found] == [
        ("books/x/a.jsonl", "books"),
        ("web/a.jsonl", "web"),
    ]


def test_what_cannot_be_found(tmp_path):
    (tmp_path / "empty").mkdir()
    file = stored(tmp_path / "in", ONE)
    for i in range(7):
        (tmp_path / "in" / f"notes{i}.doc").write_bytes(b"")
    cases = {
        "no input was given": [],
        "no files in": [tmp_path / "empty"],
        "does not exist": [tmp_path / "missing"],
        "no files in ": [tmp_path / "*.jsonl"],
        "notes4.doc and 2 more. Allowed are .jsonl, ": [tmp_path / "in" / "notes*"],
        "unknown kind of file: ": [tmp_path / "in" / "notes0.doc"],
        "given more than once": [file, tmp_path / "in" / "*.jsonl"],
    }
    for message, inputs in cases.items():
        with pytest.raises(InputError, match=message.replace("*", r"\*")):
            find(inputs)
    link = tmp_path / "link.jsonl"
    link.symlink_to(file)
    with pytest.raises(InputError, match="more than once"):
        find([file, link])


def test_remote_input(tmp_path):
    memory = fsspec.filesystem("memory")
    content = lines(*({"text": str(i)} for i in range(9)))
    for name, compression in [
        ("r/web/a.jsonl", ""),
        ("r/b.jsonl.gz", "gz"),
        ("r/c.jsonl.zst", "zst"),
    ]:
        memory.makedirs(name.rpartition("/")[0], exist_ok=True)
        memory.pipe(name, pack(content, compression))
    corpus = pin(["memory://r"])
    assert [shard.name for shard in corpus.shards] == ["b.jsonl.gz", "c.jsonl.zst", "web/a.jsonl"]
    assert [shard.source for shard in corpus.shards] == ["r", "r", "web"]
    assert [row["text"] for row in read_all(corpus)[0]] == [str(i) for i in range(9)] * 3
    check_sizes(corpus)
    memory.pipe("r/web/a.jsonl", b"")
    with pytest.raises(InputChanged):
        check_sizes(corpus)
    memory.rm("r", recursive=True)
    with pytest.raises(StorageError):
        read_all(corpus)


def test_a_checkout_of_a_data_set(tmp_path):
    """What lies beside the data is passed over and listed; alone it would be read."""
    beside = ["README.md", "dataset_infos.json", "notes.doc", "make.py", "data/state.json"]
    for name in [*beside, ".gitattributes", "data/train.jsonl"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(ONE)
    found = look([tmp_path])
    assert [shard.name for shard in found.shards] == ["data/train.jsonl"]
    assert found.passed_over == sorted(str(tmp_path / name) for name in beside)
    assert names(tmp_path / "README.md") == ["README.md"]
    (tmp_path / "data" / "train.jsonl").unlink()
    with pytest.raises(InputError, match=r"no file in .* is of a kind that is read: .*README\.md"):
        look([tmp_path])
    (tmp_path / "notes.doc").unlink(), (tmp_path / "make.py").unlink()
    assert names(tmp_path) == ["README.md", "data/state.json", "dataset_infos.json"]


def test_links_are_followed_once(tmp_path):
    file = stored(tmp_path / "elsewhere" / "deep", ONE)
    corpus = tmp_path / "in"
    corpus.mkdir()
    (corpus / "a.jsonl").symlink_to(file)
    (corpus / "linked").symlink_to(tmp_path / "elsewhere")
    (corpus / "loop").symlink_to(corpus)
    (corpus / "zz").symlink_to(tmp_path / "elsewhere")
    stored(tmp_path / "elsewhere", ONE * 2, name="b")
    found = look([corpus])
    assert [shard.name for shard in found.shards] == ["a.jsonl", "linked/b.jsonl"]
    assert found.passed_over == [
        str(corpus / name) for name in ("linked/deep/a.jsonl", "loop", "zz")
    ]
    assert names(corpus / "link*") == ["linked/b.jsonl", "linked/deep/a.jsonl"]
    assert names(corpus / "linked") == ["b.jsonl", "deep/a.jsonl"]
    (corpus / "gone.jsonl").symlink_to(tmp_path / "nowhere.jsonl")
    with pytest.raises(StorageError, match=r"gone\.jsonl"):
        pin([corpus])
