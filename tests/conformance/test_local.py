"""The local engine against itself: workers, cuts, batches, and a budget that makes it spill."""

import itertools

import pytest

import unrote.corpus.pinning
import unrote.pipelines.engines.local
import unrote.pipelines.engines.slices
import unrote.pipelines.engines.sorting
from tests.conformance.suite import (
    CONFIGURATIONS,
    JOINED,
    SETTINGS,
    EngineSuite,
    require_the_same_in_blocks,
    require_the_same_night_by_rounds,
    run,
)

VARIATIONS = {
    "one-worker-small-batches": (1, {"batch": 2000}),
    "two-workers": (2, {}),
    "three-workers-small-cuts": (3, {"cut": 4000}),
    "two-workers-all-small": (2, {"cut": 1000, "batch": 500, "part": 1000}),
    "two-workers-spilling": (2, {"budget": 0}),
    "two-workers-merging": (2, {"run": 20_000}),
}


def covering() -> list[tuple[str, str]]:
    """Each of JOINED with two variations; three in a row meet all of them."""
    names = list(VARIATIONS)
    return [
        (configuration, names[(2 * number + turn) % len(names)])
        for number, configuration in enumerate(JOINED)
        for turn in range(2)
    ]


def pytest_generate_tests(metafunc):
    """All of them where the whole matrix is asked for."""
    if "pair" in metafunc.fixturenames:
        whole = list(itertools.product(CONFIGURATIONS, VARIATIONS))
        pairs = whole if metafunc.config.getoption("--full-matrix") else covering()
        metafunc.parametrize("pair", pairs, ids="-".join, indirect=True)


class TestLocal(EngineSuite):
    @pytest.fixture
    def pair(self, request, monkeypatch, expected):
        """A configuration, with the settings of a variation, whose sizes are in force."""
        configuration, variation = request.param
        expected(configuration)  # at the usual sizes
        workers, sizes = VARIATIONS[variation]
        if "cut" in sizes:
            # The cuts of a pinned input are a constant of the format; where they lie must not
            # matter to what is found, only to how tables are split into slices, which is one here.
            monkeypatch.setattr(unrote.corpus.pinning, "CUT_BYTES", sizes["cut"])
            monkeypatch.setattr(unrote.pipelines.engines.slices, "CUT_BYTES", sizes["cut"])
        if "part" in sizes:
            monkeypatch.setattr(unrote.pipelines.engines.local, "PART_BYTES", sizes["part"])
        if "budget" in sizes:
            monkeypatch.setattr(unrote.pipelines.engines.local, "spool_budget", lambda memory: 0)
        if "run" in sizes:
            monkeypatch.setattr(unrote.pipelines.engines.local, "RUN_BYTES", sizes["run"])
            monkeypatch.setattr(unrote.pipelines.engines.sorting, "BLOCK_BYTES", sizes["run"] // 10)
        batch = sizes.get("batch", "8MiB")
        return configuration, (f"engine.workers={workers}", f'engine.batch="{batch}"')

    def test_the_same_bytes(self, pair, corpus, expected, tmp_path):
        configuration, settings = pair
        found = run(corpus, tmp_path / "out", *settings, *SETTINGS[configuration])
        assert found == expected(configuration)
        assert any(name.startswith("data/") for name in found)

    def test_the_selection_in_blocks(self, corpus, tmp_path):
        require_the_same_in_blocks(corpus, tmp_path, "engine.workers=2")

    def test_a_night_by_rounds(self, tmp_path):
        require_the_same_night_by_rounds(tmp_path, "engine.workers=2")
