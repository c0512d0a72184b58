"""What was sent from step to step must come: an engine that loses data is found out."""

from types import SimpleNamespace

import pytest

from unrote.corpus.errors import RunError
from unrote.pipelines.engines.base import Flow
from unrote.pipelines.engines.driver import committed

WORKER = SimpleNamespace(run=None, plan=SimpleNamespace(steps=1), units=("",))


def task_result(step: int, sent: int, received: int) -> dict:
    figures = {"units": 1, "shuffled": 0, "spilled": 0}
    return {"step": step, "worker": "here:1", "sent": sent, "received": received} | figures


@pytest.mark.parametrize(
    ("task_results", "said"),
    [
        ([task_result(0, 4, 0), task_result(1, 2, 3)], "of 4 blocks that were sent to step 1"),
        ([task_result(0, 3, 0), task_result(1, 2, 4)], "of 3 blocks that were sent to step 1"),
        ([task_result(0, 3, 0), task_result(1, 3, 3)], "of 3 blocks that were sent to step 2"),
        ([task_result(0, 3, 0)], "came"),
        ([task_result(1, 0, 0)], "of 1 units that exact reads, 0 were read"),
    ],
    ids=["lost", "twice", "a-result-lost", "a-task-lost", "a-unit-lost"],
)
def test_what_does_not_arrive_is_noticed(task_results, said):
    with pytest.raises(RunError, match=said):
        committed("exact", Flow(), WORKER, 0.0, task_results)
