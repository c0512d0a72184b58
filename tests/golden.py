"""What every stage answers, by its version: python -m tests.golden writes golden.json.

Jobs on a small corpus run on the local engine, in this process, and for each stage of each phase a
digest of what went in (its settings too) and one of what came out are written down. The same input
and version with another output means that a stage's answer changed and that its `version` has to be
raised: what was committed before would otherwise be taken for today's answer.
"""

import contextlib
import dataclasses
import json
import shutil
import sys
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import xxhash

from tests.command import settings, unrote
from tests.conformance.suite import CONFIGURATIONS, exam
from tests.corpora import personal, rows, write_corpus, write_jsonl
from tests.pii.ner import tiny
from unrote.corpus.schema import Tagged
from unrote.dedup import blocks
from unrote.pipelines import analysis
from unrote.pipelines.clean import clean
from unrote.pipelines.config import Settings
from unrote.pipelines.engines.base import Flow
from unrote.pipelines.gate import gate
from unrote.pipelines.progress import Silent

GOLDEN = Path(__file__).with_name("golden.json")

RAISE = "another answer to the same input. Raise the stage's `version`, then `make golden`."

FIXED = ("engine.workers=1", "engine.partitions=3", "output.internal_tables=true")

OWN = {
    "documents-removed": (
        "memorization.enabled=true",
        "memorization.max_tokens=4000",
        "memorization.action=remove-document",
        "memorization.threshold=0.003",
        "memorization.masks=all",
        "memorization.device=cpu",
        'pii.actions={"*"="keep"}',
    ),
    "decontaminated": (
        'contamination.sets=[{path="EXAM"}]',
        "contamination.action=remove",
        "memorization.enabled=false",
    ),
    "rounds": (),
    "hot-buckets": (
        "dedup.passages.enabled=false",
        "memorization.enabled=false",
    ),
    "index": ("dedup.passages.min_bytes=24", 'dedup.index="INDEX"'),
    "respelled": ("dedup.near.enabled=false", "memorization.enabled=false"),
    "blocks": (
        "dedup.passages.enabled=false",
        "memorization.enabled=false",
        'dedup.index="INDEX-BY-ROUNDS"',
    ),
}
"""What the conformance suite has not: stages that only these reach."""

JOBS = OWN | {
    name: CONFIGURATIONS[name]
    for name in (
        "defaults",
        "newest",
        "characters",
        "short-passages",
        "lines",
        "few-words",
        "suffix-array",
        "datasketch",
        "all-replaced",
        "masked",
        "everywhere",
        "values",
        "evaluated",
        "named",
        "scored",
    )
}
"""Settings that together run every stage."""

SCANNED = (
    "defaults",
    "documents-removed",
    "all-replaced",
    "masked",
    "everywhere",
    "values",
    "named",
    "scored",
)
"""Where personal data is looked for: in the others it would be found once more."""

Answers = dict[str, dict[str, str]]
"""By stage and version ("GreedySelection 2"): the digest of an output by that of its input."""


@dataclass
class Entry:
    """A stage in a phase of a job."""

    stage: str
    input: str
    output: str
    exact: bool
    """Whether every machine has its input to the last bit: what comes after a model may differ."""
    model: bool
    """Whether it asks a model, which another processor rounds otherwise: from the same input comes
    another output. Such stages are named and their answers are not compared here."""


def recorded() -> list[Entry]:
    """What the stages of the chosen jobs answer as the code is now."""
    found: list[Entry] = []
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        corpus = write_corpus(Path(folder) / "in", count=80)
        write_jsonl(corpus / "mail" / "f.jsonl", personal(0, 20))
        others = {
            "hot-buckets": shared_line(Path(folder) / "shared" / "a.jsonl"),
            "respelled": respelled(Path(folder) / "respelled" / "a.jsonl"),
        }
        # By a name that is the same everywhere, as is what is said of its files.
        tiny.save(Path(folder) / "MODEL", "bert")
        (Path(folder) / "EXAM").mkdir()
        shutil.copy(exam(), Path(folder) / "EXAM" / "exam.jsonl")
        stack.enter_context(contextlib.chdir(folder))
        stack.enter_context(mock.patch("unrote.pii.ner.digest_of", return_value=""))
        stack.enter_context(
            mock.patch("unrote.pipelines.index.head.secrets.token_hex", return_value="00" * 32)
        )
        for name, given in JOBS.items():
            out = str(Path(folder) / "out" / name)
            pii = f"pii.enabled={str(name in SCANNED).lower()}"
            final = 0 if name in {"rounds", "blocks"} else analysis.FINAL_DOCUMENTS
            few = (4, 2) if name == "blocks" else (blocks.BLOCK_STEPS, blocks.SAMPLED)
            with (
                recording(found),
                mock.patch.object(analysis, "FINAL_DOCUMENTS", final),
                mock.patch.multiple(blocks, BLOCK_STEPS=few[0], SAMPLED=few[1]),
            ):
                read = others.get(name, corpus)
                if name in {"index", "blocks"}:
                    before_this_night(corpus, name, settings(*FIXED, pii, *given))
                clean([str(read)], out, settings(*FIXED, pii, *given), Silent())
                if name in {"scored", "evaluated"}:
                    assert unrote("report", out).status == 0
        with recording(found):
            gates(corpus, Path(folder))
    return found


def gates(corpus: Path, folder: Path) -> None:
    """What only a gate does: fingerprints for a baseline, totals by shard of all there is, and a
    sample.
    """
    rule = '[[rule]]\nmeasure = "{}"\nlimit = 1\n'
    shards = rule.format("exact_share") + "each_shard = true\n"
    (folder / "shards.toml").write_text(shards + rule.format("passage_share"))
    (folder / "found.toml").write_text(rule.format("findings_per_million_words"))
    fixed = (*FIXED, "memorization.enabled=false")
    plain, sampled = settings(*fixed, "pii.enabled=false"), settings(*fixed, "pii.sample=0.5")
    gate([str(corpus)], folder / "shards.toml", str(folder / "gate"), plain, Silent(),
         write_baseline=folder / "baseline.json")  # fmt: skip
    gate([str(corpus / "mail")], folder / "found.toml", str(folder / "sample"), sampled, Silent())
    told = settings(*FIXED, *CONFIGURATIONS["scored"], *CONFIGURATIONS["told"])
    gate([str(corpus / "mail")], folder / "shards.toml", str(folder / "told"), told, Silent())


def before_this_night(corpus: Path, name: str, given: Settings) -> None:
    """An index in which there is something, and which was told to forget a text."""
    clean([str(corpus / "web")], f"before-{name}", given, Silent())
    assert unrote("index", "forget", given.dedup.index, "--id", "mixed-0", "--block").status == 0


def shared_line(path: Path) -> Path:
    """More documents than an LSH bucket may hold, that share a line and are not similar; some near
    copies among them.
    """
    line = " ".join(f"line{n}" for n in range(26))
    texts = [f"{n} {n * 7} {n * 11} {n * 13}\n{line}" for n in range(2500)]
    write_jsonl(
        path, rows([*texts, *(text.replace("\n", " x\n", 1) for text in texts[:5])], "shared")
    )
    return path


def respelled(path: Path) -> Path:
    """A passage that stands in two documents, composed in one and decomposed in the other."""
    passage = " ".join(f"é{n} à{n * 3} ñ{n * 5}" for n in range(40))
    spelled = [unicodedata.normalize(form, passage) for form in ("NFC", "NFD")]
    write_jsonl(path, rows([f"{n}\n{one}\n{n}" for n, one in enumerate(spelled)], "respelled"))
    return path


@contextlib.contextmanager
def recording(found: list[Entry]) -> Iterator[None]:
    """Stages that a job puts into flows note what goes in and what comes out."""
    add = Flow._add
    exact = True

    def noted(flow: Flow, stage: Any, inputs: Any) -> Any:
        nonlocal exact
        outputs = add(flow, stage, inputs)
        node = flow.nodes[-1]
        model = stage.workers == "device"
        exact = exact and not model
        name = f"{type(stage).__name__} {stage.version}"
        entry = Entry(name, digest(node.describe()), digest(""), exact, model)
        found.append(entry)
        flow.nodes[-1] = dataclasses.replace(node, stage=noting(stage, entry))
        return {tag: dataclasses.replace(o, node=flow.nodes[-1]) for tag, o in outputs.items()}

    with mock.patch.object(Flow, "_add", noted):
        yield


def noting(stage: Any, entry: Entry) -> Any:
    """The stage, which adds to the entry's digests what goes through it."""
    kind = type(stage)

    class Noting(kind):
        @contextlib.contextmanager
        def open(self) -> Iterator[Any]:
            with super().open() as run:
                yield lambda tagged: noted_run(run, tagged, entry)

    Noting.__name__, Noting.__qualname__ = kind.__name__, kind.__qualname__
    copied = dataclasses.replace(stage)
    object.__setattr__(copied, "__class__", Noting)
    return copied


def noted_run(run: Any, tagged: Tagged, entry: Entry) -> Tagged:
    """One task. Digests of tasks are added up, so that their order does not matter."""
    came: dict[str, list[pa.RecordBatch]] = {}
    went: dict[str, list[pa.RecordBatch]] = {}

    def coming() -> Tagged:
        for tag, batch in tagged:
            came.setdefault(tag, []).append(batch)
            yield tag, batch

    for tag, batch in run(coming()):
        went.setdefault(tag, []).append(batch)
        yield tag, batch
    entry.input = summed(entry.input, digest(rows_of(came)))
    entry.output = summed(entry.output, digest(rows_of(went)))


def rows_of(batches: dict[str, list[pa.RecordBatch]]) -> str:
    """The rows of each tag, however they were cut into batches."""
    return repr({
        tag: pa.Table.from_batches(batches[tag]).to_pylist()
        for tag in sorted(batches)
        if any(batch.num_rows for batch in batches[tag])
    })  # fmt: skip


def digest(text: str) -> str:
    return xxhash.xxh3_64_hexdigest(text.encode("utf-8", "surrogatepass"))


def summed(one: str, other: str) -> str:
    return f"{(int(one, 16) + int(other, 16)) % 2**64:016x}"


def answers(entries: Iterable[Entry]) -> Answers:
    found: Answers = {}
    for entry in entries:
        own = found.setdefault(entry.stage, {})
        if not entry.model:
            own[entry.input] = entry.output
    return {stage: dict(sorted(own.items())) for stage, own in sorted(found.items())}


def changed(before: Answers, now: Answers) -> list[str]:
    """Stages that answer an input otherwise than before, with the version that they had."""
    return [
        stage
        for stage, own in now.items()
        if any(before.get(stage, {}).get(i, output) != output for i, output in own.items())
    ]


def known() -> Answers:
    found: Answers = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return found


def main() -> int:
    now = answers(recorded())
    if GOLDEN.exists() and (stages := changed(known(), now)):
        sys.stderr.write(f"{', '.join(stages)}: {RAISE}\n")
        return 1
    GOLDEN.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"wrote {GOLDEN}: {len(now)} stages\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
