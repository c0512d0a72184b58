"""Cases and known gaps of the engines, as their test classes declare them."""

import json

import pyarrow as pa
import pytest

from tests.corpora import personal, write_corpus
from tests.shared import made_once


def pytest_generate_tests(metafunc):
    """Each case once for all of an engine's tests: they look at the same run."""
    if "ran" in metafunc.fixturenames and metafunc.cls:
        cases = metafunc.cls.cases(full=metafunc.config.getoption("--full-matrix"))
        metafunc.parametrize("ran", cases, ids=str, indirect=True, scope="class")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--full-matrix"):
        items[:] = [
            item for item in items if item.originalname not in getattr(item.cls, "whole_only", ())
        ]
    for item in items:
        for gap in getattr(item.cls, "gaps", ()):
            if gap.test == item.originalname:
                reason = f"{gap.what}: {gap.why}"
                item.add_marker(pytest.mark.xfail(raises=AssertionError, reason=reason))


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """What every engine cleans."""
    return made_once(tmp_path_factory, "conformance", write)


def write(folder):
    write_corpus(folder)
    (folder / "mail").mkdir()
    letters = personal(0, 60)
    (folder / "mail" / "f.json").write_text(json.dumps(letters[:30], indent=2))
    tagged = [letter | {"meta": {"tags": ["a", None]}} for letter in letters[30:]]
    table = pa.Table.from_pylist(tagged)
    with pa.ipc.new_stream(folder / "mail" / "g.arrow", table.schema) as writer:
        writer.write_table(table, max_chunksize=7)
