"""An index in a store."""

import hashlib

from tests.command import files_below, settings, unrote, written
from tests.stores.conftest import options_for, set_options
from tests.stores.server import BUCKET
from unrote.corpus.storage import use_options
from unrote.pipelines.clean import clean
from unrote.pipelines.progress import Silent


def two_nights(corpus, folder, index, *more):
    given = settings("pii.enabled=false", "engine.workers=1", f'dedup.index="{index}"', *more)
    for name in ("web", "books"):
        clean([str(corpus / name)], str(folder / name), given, Silent())
    return written(folder / "books")


def test_it_is_as_on_a_disk(server, files, corpus, tmp_path):
    url = f"s3://{BUCKET}/nightly/index"
    use_options(options_for(server))
    try:
        expected = two_nights(corpus, tmp_path / "disk", tmp_path / "index")
        assert any(name.startswith("tables/index_twins/") for name in expected)
        assert two_nights(corpus, tmp_path / "store", url, *set_options(server)) == expected
        on_disk = {p.name: p.read_bytes() for p in files_below(tmp_path / "index" / "files")}
        stored = files.find(f"{BUCKET}/nightly/index/files")
        digests = {path.rpartition("/")[2]: digest(files.cat_file(path)) for path in stored}
        assert digests == {name: digest(content) for name, content in on_disk.items()}
        heads = files.find(f"{BUCKET}/nightly/index/heads")
        assert [path.rpartition("/")[2] for path in heads] == ["00000002.json"]
        assert unrote("index", "verify", url).out == "The index is whole.\n"
        assert unrote("index", "compact", url).status == 0
        assert unrote("index", "verify", url).out == "The index is whole.\n"
        assert files.find(f"{BUCKET}/nightly/index/.run") == []
    finally:
        use_options({})


def digest(content):
    return hashlib.sha256(content).hexdigest()
