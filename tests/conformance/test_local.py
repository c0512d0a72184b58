"""The local engine against itself: workers, cuts, batches, and a budget that makes it spill."""

import pytest

import corpus.read
import corpus.shards
import pipelines.engines.exchange
import pipelines.engines.local
import pipelines.engines.slices
from tests.conformance.suite import CONFIGURATIONS, EngineSuite

VARIATIONS = {
    "one-worker-small-batches": (1, {"batch": 2000}),
    "two-workers": (2, {}),
    "three-workers-small-cuts": (3, {"cut": 4000}),
    "two-workers-all-small": (2, {"cut": 1000, "batch": 500, "chunk": 300, "part": 1000}),
    "two-workers-spilling": (2, {"chunk": 2000, "budget": 0}),
}


class TestLocal(EngineSuite):
    @pytest.fixture(params=CONFIGURATIONS)
    def configuration(self, request):
        return request.param

    @pytest.fixture(params=VARIATIONS)
    def variation(self, request, monkeypatch, expected, configuration):
        expected(configuration)  # at the usual sizes
        workers, sizes = VARIATIONS[request.param]
        if "cut" in sizes:
            # The cuts of a pinned input are a constant of the format; where they lie must not
            # matter to what is found, only to how tables are split into slices, which stay one.
            monkeypatch.setattr(corpus.shards, "CUT_BYTES", sizes["cut"])
            monkeypatch.setattr(pipelines.engines.slices, "CUT_BYTES", sizes["cut"])
        if "batch" in sizes:
            monkeypatch.setattr(corpus.read, "BATCH_BYTES", sizes["batch"])
        if "chunk" in sizes:
            monkeypatch.setattr(pipelines.engines.exchange, "CHUNK_BYTES", sizes["chunk"])
        if "part" in sizes:
            monkeypatch.setattr(pipelines.engines.local, "PART_BYTES", sizes["part"])
        if "budget" in sizes:
            monkeypatch.setattr(pipelines.engines.local, "spool_budget", lambda memory: 0)
        return (f"engine.workers={workers}",)
