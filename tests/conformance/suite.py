"""What every engine has to do: write the bytes that the local engine writes with one worker."""

import hashlib
from pathlib import Path

import pytest

from pipelines.clean import clean
from pipelines.config import load
from pipelines.progress import Silent
from tests.corpora import write_corpus

CONFIGURATIONS = {
    "defaults": (),
    "longest": ("dedup.near.keep=longest", "dedup.exact.normalise=case"),
    "newest": ("dedup.near.keep=newest:date", "dedup.near.threshold=0.6"),
    "characters": ("dedup.near.unit=character", "dedup.near.ngram=8", "dedup.near.permutations=64"),
    "short-passages": ("dedup.passages.min_bytes=24", "dedup.passages.boundary=character"),
    "lines": ("dedup.passages.boundary=line", "dedup.passages.min_remaining=80"),
    "few-words": ("dedup.passages.min_words=12", "dedup.exact.normalise=none"),
    "suffix-array": ("dedup.passages.method=suffix-array",),
    "report": ("dedup.passages.action=report",),
    "documents-only": ("dedup.passages.enabled=false",),
    "passages-only": ("dedup.exact.enabled=false", "dedup.near.enabled=false"),
}
"""Settings under which engines are compared; each one takes another way through the phases."""


def digests(out: Path) -> dict[str, str]:
    """SHA-256 of every table and every cleaned shard."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for part in ("tables", "data")
        for path in sorted((out / part).rglob("*"))
        if path.is_file()
    }


def run(corpus: Path, out: Path, *settings: str) -> dict[str, str]:
    """Clean `corpus` and give the digests of what was written."""
    clean([str(corpus)], str(out), load(None, settings), Silent())
    return digests(out)


class EngineSuite:
    """Inherited by a test class for each engine; its fixtures vary how the engine cuts up work."""

    engine = "local"

    @pytest.fixture(scope="class")
    def corpus(self, tmp_path_factory):
        return write_corpus(tmp_path_factory.mktemp("corpus"))

    @pytest.fixture(scope="class")
    def expected(self, corpus, tmp_path_factory):
        """Digests by configuration, of the local engine with one worker and its usual sizes."""
        known: dict[str, dict[str, str]] = {}

        def of(name: str) -> dict[str, str]:
            if name not in known:
                out = tmp_path_factory.mktemp("expected") / "out"
                known[name] = run(corpus, out, "engine.workers=1", *CONFIGURATIONS[name])
            return known[name]

        return of

    def test_the_same_bytes(self, variation, configuration, corpus, expected, tmp_path):
        settings = (f"engine.name={self.engine}", *variation, *CONFIGURATIONS[configuration])
        found = run(corpus, tmp_path / "out", *settings)
        assert found == expected(configuration)
        assert any(name.startswith("data/") for name in found)
