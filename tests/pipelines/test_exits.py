"""Interruptions that Python itself would lose."""

import subprocess
import sys
import time

import pytest

from unrote.pipelines.exits import PATIENCE

DESTROYED = """
class Held:
    def __del__(self):
        os.kill(os.getpid(), signal.{name})
        time.sleep(1)  # in which the signal is met

del [Held()][:]
"""

CALLED_BACK = """
class Held: ...

def called_back(_):
    os.kill(os.getpid(), signal.{name})
    time.sleep(1)

held = Held()
reference = weakref.ref(held, called_back)
del held
"""

PROGRAM = """
import os, signal, sys, time, weakref
from unrote.pipelines import exits
signal.signal(signal.SIGINT, signal.default_int_handler)
exits.catch_signals()
try:
    {lost}
    time.sleep(60)
except KeyboardInterrupt as interruption:
    sys.exit(exits.report(interruption))
"""


@pytest.mark.parametrize("lost", [DESTROYED, CALLED_BACK], ids=["destructor", "callback"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interruption_that_a_destructor_met_ends_the_run(lost, name):
    lost = lost.format(name=name).replace("\n", "\n    ")
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(lost=lost)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == (
        "unrote: interrupted. The same command continues after the last finished phase.\n"
    )
    assert done.returncode == 3
    assert time.monotonic() - began < 2 * PATIENCE
