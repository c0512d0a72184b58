"""Slices, tasks and units are held as numbers: what comes out is what was put in."""

import pickle
from dataclasses import dataclass
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.driver import fabricated, flow
from unrote.corpus.pinning import corpus_of
from unrote.corpus.schema import INDEXED, doc_key
from unrote.corpus.shard import Corpus, Cut, Shard, Slice, Slices
from unrote.pipelines.engines.base import Read
from unrote.pipelines.engines.driver import loads
from unrote.pipelines.engines.plan import plan_of
from unrote.pipelines.engines.slices import tasks_of
from unrote.pipelines.engines.work import task_counts, units_of


@st.composite
def corpora(draw):
    """Shards in a few cuts, cuts in slices."""
    shards, cuts = [], []
    for number in range(draw(st.integers(1, 6))):
        size = draw(st.integers(1, 30 << 20))
        shards.append(Shard(number, f"{number}.jsonl", f"/{number}", "jsonl", "", size, "", ""))
        ends = sorted([*draw(st.lists(st.integers(1, size), max_size=3)), size])
        for row, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
            cuts.append(Cut(number, start, end, 7 * row, row))
    at = sorted(draw(st.sets(st.integers(1, len(cuts)), max_size=4)) | {len(cuts)})
    begins = zip([0, *at], at, strict=False)
    slices = [Slice(n, tuple(cuts[begin:end])) for n, (begin, end) in enumerate(begins)]
    return Corpus(tuple(shards), tuple(slices)), slices


@given(corpora())
def test_slices_are_what_they_were_made_of(made):
    corpus, slices = made
    assert list(corpus.slices) == slices
    assert corpus.slices[-1] == slices[-1]
    assert corpus.slices[1:] == tuple(slices[1:])
    assert corpus.slices == Slices(slices)
    assert pickle.loads(pickle.dumps(corpus)) == corpus
    assert Corpus.from_json(corpus.to_json()) == corpus
    assert hash(corpus) == hash(Corpus(corpus.shards, slices))
    changed = [*slices[:-1], Slice(slices[-1].number, slices[-1].cuts[:-1])]
    assert corpus.slices != Slices(changed)
    for one in slices:
        first = doc_key(one.cuts[0].shard, one.cuts[0].row)
        assert corpus.slice_of(first).item() == one.number


@given(corpora(), st.sampled_from(["text", None]))
def test_tasks_have_all_cuts_in_order(made, view):
    corpus, slices = made
    tasks = tasks_of(corpus, Read(view))
    assert [cut for task in tasks for cut in task.cuts] == [c for one in slices for c in one.cuts]
    assert [task.number for task in tasks] == list(range(len(tasks)))
    for task, behind in zip(tasks, [*tasks[1:], None], strict=True):
        first = doc_key(task.cuts[0].shard, task.cuts[0].row)
        assert task.first == (first if task.number else INDEXED)
        assert behind is None or task.end == behind.first
        assert set(task.cuts) <= set(slices[task.slice].cuts)
        assert task.bytes == sum(cut.end - cut.start for cut in task.cuts)
    again = pickle.loads(pickle.dumps(tasks))
    assert list(again) == list(tasks)
    if view is None:
        assert len(tasks) == len(slices)


@given(corpora())
def test_units_have_all_tasks(made):
    corpus, _ = made
    plan = plan_of(flow())
    units = units_of(plan, SimpleNamespace(corpus=corpus))
    tasks = list(tasks_of(corpus, Read("records")))
    assert [task for unit in units if unit.node == 0 for task in unit.tasks] == tasks
    assert [unit.number for unit in units] == list(range(len(units)))
    assert units.sizes == [unit.bytes for unit in units]
    assert units.bytes_of({0}) == sum(unit.bytes for unit in units if unit.node == 0)
    assert list(pickle.loads(pickle.dumps(units))) == list(units)


@given(st.lists(st.integers(0, 100), max_size=40), st.integers(1, 12))
def test_loads_have_each_unit_once_and_are_even(sizes, count):
    ranges = loads(sizes, count)
    assert [number for one in ranges for number in one] == list(range(len(sizes)))
    assert len(ranges) <= count
    assert all(ranges)
    most = sum(sizes) / count + max(sizes, default=0)
    assert all(sum(sizes[n] for n in one) <= most + max(sizes) for one in ranges)


@dataclass
class Planned:
    plan: object
    run: object


def test_no_step_has_tasks_without_work():
    corpus = corpus_of(list(fabricated(10_000)))
    worker = Planned(plan_of(flow()), SimpleNamespace(corpus=corpus))
    bits = 4096  # the most partitions that there are
    assert task_counts(worker, 100_000) == [bits, len(corpus.slices), 1]
    assert task_counts(worker, 100) == [100, 100, 1]
