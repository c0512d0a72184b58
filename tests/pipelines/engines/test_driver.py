"""What was sent from step to step must come: an engine that loses data is found out."""

from types import SimpleNamespace

import pytest

from unrote.corpus.errors import RunError
from unrote.pipelines.engines.base import Flow
from unrote.pipelines.engines.driver import committed

WORKER = SimpleNamespace(run=None, plan=SimpleNamespace(steps=1), units=())


def receipt(step: int, sent: int, met: int) -> dict:
    figures = {"units": 1, "shuffled": 0, "spilled": 0}
    return {"step": step, "worker": "here:1", "sent": sent, "met": met} | figures


@pytest.mark.parametrize(
    ("receipts", "said"),
    [
        ([receipt(0, 4, 0), receipt(1, 2, 3)], "of 4 packets that were sent to step 1"),
        ([receipt(0, 3, 0), receipt(1, 2, 4)], "of 3 packets that were sent to step 1"),
        ([receipt(0, 3, 0), receipt(1, 3, 3)], "of 3 packets that were sent to step 2"),
        ([receipt(0, 3, 0)], "came"),
    ],
    ids=["lost", "twice", "a-receipt-lost", "a-task-lost"],
)
def test_what_does_not_arrive_is_noticed(receipts, said):
    with pytest.raises(RunError, match=said):
        committed("exact", Flow(), WORKER, 0.0, receipts)
