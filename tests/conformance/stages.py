"""Stages that only tests need. Workers import them, so that nothing here may need pytest."""

import resource
from dataclasses import dataclass
from pathlib import Path

from unrote.corpus.schema import Tagged
from unrote.dedup.exact import Exact
from unrote.dedup.groups import one_batch


@dataclass(frozen=True)
class Limits(Exact):
    """When it is done, its process gets `room` bytes of address space beyond what it had so far."""

    room: int = 0

    def _run(self, tagged: Tagged) -> Tagged:
        yield from super()._run(tagged)
        status = Path("/proc/self/status").read_text()
        peak = int(status.partition("VmPeak:")[2].split()[0]) << 10
        resource.setrlimit(resource.RLIMIT_AS, (peak + self.room,) * 2)


@dataclass(frozen=True)
class Limited(Exact):
    """Works only where Limits was before."""

    def _run(self, tagged: Tagged) -> Tagged:
        assert resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY
        yield from super()._run(tagged)


@dataclass(frozen=True)
class Held(Limited):
    """Has its rows in memory before it begins, as no stage may."""

    def _run(self, tagged: Tagged) -> Tagged:
        rows = one_batch([batch for _, batch in tagged])
        yield from super()._run(iter([("fingerprints", rows)]))
