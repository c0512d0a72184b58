"""Beam, on the runner that comes with it: with threads, with processes, and with neither."""

import pytest

from tests.conformance.observed import beam_phases
from tests.conformance.suite import (
    Case,
    Gap,
    SpreadSuite,
    covering,
    require_the_same_in_blocks,
    run,
)
from unrote.pipelines.engines.local import LocalEngine


def local_runner(mode: str) -> tuple[str, str]:
    """Settings for Beam's runner on this machine; the plain DirectRunner would download another."""
    options = f'["--direct_running_mode={mode}", "--direct_num_workers=2"]'
    return ("engine.name=beam", f"engine.beam.options={options}")


ONE_PROCESS = Gap(
    "test_workers_are_other_processes",
    "workers are threads of the process that has the pipeline",
    "Beam's runner starts processes in its mode multi_processing only",
)


class BeamSuite(SpreadSuite):
    @pytest.fixture(scope="class")
    def observing(self):
        return beam_phases


class TestThreads(BeamSuite):
    settings = local_runner("multi_threading")
    gaps = (ONE_PROCESS,)

    @classmethod
    def chosen(cls):
        """Without the model, which TestInMemory has: to load it takes longest here."""
        return [case for case in covering(0) if case.configuration != "scored"]

    @pytest.mark.parametrize(
        ("target", "cheat"),
        [
            # Runs the phase here, beside the engine.
            (
                "unrote.pipelines.engines.beam.BeamEngine.execute",
                lambda self, *args: LocalEngine(self.settings).execute(*args),
            ),
            ("unrote.pipelines.engines.beam.loads", lambda units, count: [list(range(len(units)))]),
            ("unrote.pipelines.engines.beam.task_of", lambda worker, block, count: 0),
        ],
        ids=["local-engine", "one-reader", "one-partition"],
    )
    def test_a_cheat_is_seen(
        self, corpus, expected, observing, tmp_path, monkeypatch, target, cheat
    ):
        """The bytes of an engine that does not spread its work are right, and it fails."""
        case = Case("documents-only", 3, "8MiB")
        with monkeypatch.context() as patch:
            patch.setattr(target, cheat)
            with observing() as phases:
                found = run(corpus, tmp_path / "out", *self.settings, *case.settings)
        assert found == expected(case.configuration)
        with pytest.raises(AssertionError, match=r"engine knows of no task|one task"):
            self.require_spread(phases, 3)


class TestInMemory(BeamSuite):
    settings = local_runner("in_memory")
    gaps = (ONE_PROCESS,)
    whole_only = ("test_little_is_collected",)

    @classmethod
    def chosen(cls):
        """One for each number of partitions: the code is that of the threads."""
        return list({case.partitions: case for case in covering(2)}.values())

    def test_a_night_with_an_index(self, corpus, engine, tmp_path):
        self.require_the_same_night(corpus, engine, tmp_path)

    @pytest.mark.long  # the local engine has it in `make test`
    def test_the_selection_in_blocks(self, corpus, engine, tmp_path):
        require_the_same_in_blocks(corpus, tmp_path, *engine)


@pytest.mark.long
class TestProcesses(BeamSuite):
    settings = local_runner("multi_processing")
    whole_only = ("test_little_is_collected",)

    @classmethod
    def chosen(cls):
        """One: the runner starts its processes anew for each phase, which takes seconds."""
        return [Case("passages-only", 3, "8MiB")]
