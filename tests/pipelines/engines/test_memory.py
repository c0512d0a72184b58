"""What a worker's garbage collections go over."""

import gc
import subprocess
import sys

PROGRAM = """
import gc, sys
from unrote.pipelines.engines import memory
memory.freeze_modules()
first = gc.get_freeze_count()
assert first > 10_000, first
memory.freeze_modules()
assert gc.get_freeze_count() <= first
sys.modules.pop("wave", None)
import wave
memory.freeze_modules()
assert gc.get_freeze_count() > first
"""


def test_modules_are_left_out_once_they_are_imported():
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)
    assert gc.get_freeze_count() == 0
