"""Giving memory back to the system."""

import re
import sys
from pathlib import Path

import pytest

from unrote.pipelines.engines.memory import give_back

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads memory in /proc")

MIB = 1 << 20


def resident() -> int:
    """Bytes of memory that this process has."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) << 10


def test_what_lies_between_small_objects_goes_back():
    blocks = [bytes([n % 256]) * 2000 for n in range(50_000)]
    kept = blocks[::100]  # about one in 49 pages
    del blocks
    before = resident()
    give_back()
    assert before - resident() > 50 * MIB
    assert len(kept) == 500
