"""What every engine has to do: write the bytes that the local engine writes with one worker.

`EngineSuite` compares bytes; `SpreadSuite` also looks at how an engine that has workers used them,
as its own metrics tell. An engine's test class inherits one of them and says what it is.
"""

import atexit
import contextlib
import functools
import hashlib
import itertools
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from tests.command import files_below, written
from tests.command import settings as plain_settings
from tests.conformance.observed import Phase
from tests.corpora import rows, write_corpus, write_jsonl
from tests.dedup.test_near import family
from tests.pii.ner import tiny
from tests.shared import made_once
from unrote.corpus import pinning
from unrote.pipelines.clean import clean
from unrote.pipelines.progress import Silent

CONFIGURATIONS = {
    "defaults": (),
    "longest": ("dedup.near.keep=longest", "dedup.exact.normalise=case"),
    "newest": ("dedup.near.keep=newest:date", "dedup.near.threshold=0.6"),
    "characters": ("dedup.near.unit=character", "dedup.near.ngram=8", "dedup.near.permutations=64"),
    "short-passages": ("dedup.passages.min_bytes=24", "dedup.passages.boundary=character"),
    "lines": ("dedup.passages.boundary=line", "dedup.passages.min_remaining=80"),
    "few-words": ("dedup.passages.min_words=12", "dedup.exact.normalise=none"),
    "suffix-array": ("dedup.passages.method=suffix-array",),
    "datasketch": ("dedup.near.method=datasketch", "dedup.near.keep=highest:score"),
    "report": ("dedup.passages.action=report",),
    "documents-only": ("dedup.passages.enabled=false",),
    "passages-only": ("dedup.exact.enabled=false", "dedup.near.enabled=false"),
    "all-replaced": ('pii.actions={"*"="surrogate"}', 'pii.columns=["author", "source"]'),
    "masked": ('pii.actions={EMAIL_ADDRESS="mask", US_SSN="reject-document"}',),
    "everywhere": ("pii.everywhere=true", 'pii.columns=["author"]'),
    "not-scanned": ("pii.enabled=false",),
    "values": ('input.text=["text", "meta.tags[]"]', "dedup.passages.cut_values=true"),
    "evaluated": ('contamination.sets=[{path="EXAM", name="exam"}]', "contamination.action=cut"),
    "told": ("languages.enabled=true",),
    "named": (
        'pii.ner="transformers:MODEL"',
        "pii.ner_device=cpu",
        "pii.threshold=0.3",
        'pii.columns=["author"]',
    ),
    "scored": (
        "memorization.enabled=true",
        "memorization.max_tokens=4000",
        "memorization.action=remove-sequence",
        "memorization.threshold=0.003",
        "memorization.device=cpu",
    ),
}
"""Settings under which engines are compared; each one takes another way through the phases. MODEL
is a tiny one with random weights (`tiny_model`), EXAM an evaluation set of parts of the corpus."""


@functools.cache
def exam() -> str:
    """The file of an evaluation set, which lasts as long as this process."""
    folder = tempfile.TemporaryDirectory(prefix="unrote-tests-")
    atexit.register(folder.cleanup)
    corpus = write_corpus(Path(folder.name) / "in")
    path = Path(folder.name) / "exam.jsonl"
    texts = []
    for file in sorted(corpus.rglob("*.jsonl")):
        for line in file.read_text(errors="replace").splitlines()[::5]:
            with contextlib.suppress(ValueError):
                text = json.loads(line).get("text")
                words = text.split()[3:40] if isinstance(text, str) else []
                texts += [" ".join(words)] if len(words) > 12 else []
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    assert len(texts) > 10
    return str(path)


@functools.cache
def tiny_model() -> str:
    """The folder of a token classifier, which lasts as long as this process."""
    folder = tempfile.TemporaryDirectory(prefix="unrote-tests-")
    atexit.register(folder.cleanup)
    return str(tiny.save(Path(folder.name) / "tiny", "bert"))


def joined(*names: str) -> dict[str, tuple[str, ...]]:
    """Configurations that set different things, as one."""
    return {"+".join(names): tuple(one for name in names for one in CONFIGURATIONS[name])}


JOINED = (
    joined("defaults")
    | joined("longest", "characters", "lines", "masked")
    | joined("newest", "short-passages", "everywhere", "all-replaced")
    | joined("few-words", "report", "values", "named", "told")
    | joined("documents-only", "not-scanned", "datasketch", "evaluated")
    | joined("passages-only", "suffix-array")
    | joined("scored")
)
"""Each of CONFIGURATIONS once, in as few runs as there can be: where a run takes long."""

SETTINGS = CONFIGURATIONS | JOINED

PARTITIONS = (1, 3, 7)
BATCHES = ("500", "8MiB")
"""Sizes of `engine.batch`: less than most documents have, and more than the corpus has."""

SLICE_BYTES = 30_000
CUT_BYTES = 10_000
"""So small that each phase has something to do for several workers."""

MOST_COLLECTED = 1_000_000
"""Bytes that may come to the driver from one phase."""


@dataclass(frozen=True)
class Case:
    """A configuration, and how the engine cuts up the work."""

    configuration: str
    partitions: int
    batch: str

    def __str__(self) -> str:
        return f"{self.configuration}-{self.partitions}-{self.batch}"

    @property
    def settings(self) -> tuple[str, ...]:
        cut = (f"engine.partitions={self.partitions}", f'engine.batch="{self.batch}"')
        return (*cut, *SETTINGS[self.configuration])


def all_cases() -> list[Case]:
    return [Case(*one) for one in itertools.product(CONFIGURATIONS, PARTITIONS, BATCHES)]


def covering(turn: int) -> list[Case]:
    """A case for each of JOINED; of three turns in a row any two values meet in one of them.

    That is any two of a configuration, a number of partitions and a batch size; and each turn,
    which is an engine, meets each value of the three.
    """
    cases = []
    for number, configuration in enumerate(JOINED):
        index = (number + turn) % len(PARTITIONS)
        batch = BATCHES[(number + index) % len(BATCHES)]
        cases.append(Case(configuration, PARTITIONS[index], batch))
    return cases


@dataclass(frozen=True)
class Gap:
    """Something that an engine is known not to do. Its test fails, or the gap is to be removed."""

    test: str
    what: str
    why: str


@dataclass
class Ran:
    """A run that was observed, with the digests of what it wrote."""

    case: Case
    digests: dict[str, str]
    phases: dict[str, Phase]


def run(corpus: Path, out: Path, *settings: str) -> dict[str, str]:
    """Clean `corpus` and give the digests of what was written."""
    settings = tuple(
        one.replace(name, made()) if name in one else one
        for one in settings
        for name, made in [("EXAM", exam) if "EXAM" in one else ("MODEL", tiny_model)]
    )
    clean([str(corpus)], str(out), plain_settings(*settings), Silent())
    return written(out)


def two_nights(corpus: Path, folder: Path, *given: str) -> tuple[dict[str, str], dict[str, str]]:
    """Digests of what a second night writes, and of the files of the index behind it."""
    index = (f'dedup.index="{folder / "index"}"', "pii.enabled=false")
    run(corpus / "web", folder / "first", *index, "engine.workers=1")
    digests = run(corpus / "books", folder / "second", *index, *given)
    files = files_below(folder / "index" / "files")
    return digests, {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def require_the_same_night_by_rounds(folder: Path, *given: str) -> None:
    """A second night by rounds, and in blocks, has the bytes of one worker's selection. The
    documents are copied from one another with changes, so that it takes several rounds.
    """
    corpus = folder / "in"
    texts = family(0, 160)
    for number, name in enumerate(("web", "books")):
        write_jsonl(corpus / name / "a.jsonl", rows(texts[number::2], name))
    expected = two_nights(corpus, folder / "at-once", "engine.workers=1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("unrote.pipelines.analysis.FINAL_DOCUMENTS", 0)
        assert two_nights(corpus, folder / "rounds", *given) == expected
        patch.setattr("unrote.dedup.blocks.BLOCK_STEPS", 20)
        patch.setattr("unrote.dedup.blocks.SAMPLED", 4)
        assert two_nights(corpus, folder / "blocks", *given) == expected
    for way, phase in (("rounds", "near-2-verify"), ("blocks", "near-1-selection-2")):
        assert {phase, "near-twins"} <= phases_of(folder / way / "second")


def require_the_same_in_blocks(corpus: Path, folder: Path, *given: str) -> None:
    """The selection in blocks of a few steps, in passes, has the bytes of one walk by the local
    engine.
    """
    settings = (*SETTINGS["documents-only"], "pii.enabled=false", "dedup.near.keep=longest")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("unrote.pipelines.analysis.FINAL_DOCUMENTS", 0)
        expected = run(corpus, folder / "at-once", "engine.workers=1", *settings)
        patch.setattr("unrote.dedup.blocks.BLOCK_STEPS", 20)
        patch.setattr("unrote.dedup.blocks.SAMPLED", 4)
        assert run(corpus, folder / "in-blocks", *given, *settings) == expected
    assert {"near-1-blocks-1", "near-1-selection-2"} <= phases_of(folder / "in-blocks")


def phases_of(out: Path) -> set[str]:
    """The names of the phases that a run went through."""
    phases = json.loads((out / "manifest.json").read_text())["phases"]
    return {phase["name"] for phase in phases}


class EngineSuite:
    """Inherited by a test class for each engine."""

    gaps: ClassVar[tuple[Gap, ...]] = ()

    @pytest.fixture(scope="class")
    def expected(self, corpus, tmp_path_factory):
        """Digests by configuration, of the local engine with one worker and its usual sizes."""

        def of(name: str) -> dict[str, str]:
            kind = f"expected-{name}-{pinning.SLICE_BYTES}"
            return json.loads(
                (made_once(tmp_path_factory, kind, make(name)) / "digests.json").read_text()
            )

        def make(name: str):
            def run_to(folder: Path) -> None:
                digests = run(corpus, folder / "out", "engine.workers=1", *SETTINGS[name])
                (folder / "digests.json").write_text(json.dumps(digests))

            return run_to

        return of


class SpreadSuite(EngineSuite):
    """Of an engine that has workers."""

    settings: ClassVar[tuple[str, ...]]

    whole_only: ClassVar[tuple[str, ...]] = ()
    """Tests of the whole matrix only: another class has them of the same code in `make test`."""

    @classmethod
    def cases(cls, *, full: bool) -> list[Case]:
        return all_cases() if full else cls.chosen()

    @classmethod
    def chosen(cls) -> list[Case]:
        """The cases of `make test`."""
        raise NotImplementedError

    @pytest.fixture(scope="class", autouse=True)
    def small_pieces(self):
        """Tables have several files, for the expected bytes too, and maps several tasks.

        A task is of whole shards at least, since workers cut them at the usual size.
        """
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("unrote.corpus.pinning.SLICE_BYTES", SLICE_BYTES)
            patch.setattr("unrote.pipelines.engines.slices.CUT_BYTES", CUT_BYTES)
            yield

    @pytest.fixture(scope="class")
    def engine(self):
        """The engine's settings; overridden where something has to be started for it."""
        return self.settings

    @pytest.fixture(scope="class")
    def observing(self):
        """What gives a context manager that gives the phases that the engine runs meanwhile."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    def ran(self, request, corpus, engine, observing, tmp_path_factory):
        out = tmp_path_factory.mktemp("ran") / "out"
        with observing() as phases:
            digests = run(corpus, out, *engine, *request.param.settings)
        return Ran(request.param, digests, phases)

    def require_the_same_night(self, corpus, engine, tmp_path):
        """The second night of an index, by this engine."""
        expected = two_nights(corpus, tmp_path / "local", "engine.workers=1")
        assert any(name.startswith("tables/index_twins/") for name in expected[0])
        assert two_nights(corpus, tmp_path / "here", *engine, "engine.partitions=3") == expected

    def test_the_same_bytes(self, ran, expected):
        assert ran.digests == expected(ran.case.configuration)
        assert any(name.startswith("data/") for name in ran.digests)
        assert any(name.startswith("tables/") for name in ran.digests)

    def test_work_is_spread(self, ran):
        self.require_spread(ran.phases, ran.case.partitions)

    def test_workers_are_other_processes(self, ran):
        for phase in ran.phases.values():
            assert not any(f":{os.getpid()}:" in name for name in phase.workers()), phase.name

    def require_spread(self, phases: dict[str, Phase], partitions: int) -> None:
        """Where two can work, two did: each phase has something to do for two."""
        assert {"release", "summary"} <= set(phases)
        for phase in phases.values():
            phase.require_reports()
            if partitions > 1:
                phase.require_spread(partitions)

    def test_little_is_collected(self, engine, observing, tmp_path_factory):
        """With a corpus of which more than the limit goes from worker to worker."""
        folder = tmp_path_factory.mktemp("larger")
        corpus = write_corpus(folder / "in", seed=1, count=2400)
        expected = run(corpus, folder / "local", "engine.workers=1")
        with observing() as phases:
            assert run(corpus, folder / "out", *engine, "engine.partitions=3") == expected
        assert max(phase.shuffled for phase in phases.values()) > MOST_COLLECTED
        for phase in phases.values():
            assert 0 < phase.collected < MOST_COLLECTED, phase.name
        self.require_spread(phases, 3)
