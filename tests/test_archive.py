"""unrote out of a wheel that nobody installed: imported from the file, as Spark's workers do."""

import os
import subprocess

import pytest

from tests.command import written
from tests.wheel import bare_python


@pytest.mark.timeout(1200)
def test_a_run_out_of_an_archive(wheel, few_documents, by_default, tmp_path):
    """With all that is on by default, where no checkout can be imported: the same bytes."""
    python = bare_python(tmp_path / "bare")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}

    def run(path: str, *args: object) -> "subprocess.CompletedProcess[str]":
        program = (
            f"import sys; sys.path.insert(0, {path!r})\n"
            "from unrote.pipelines.cli import command; command()"
        )
        command = [python, "-c", program, *map(str, args)]
        return subprocess.run(
            command, cwd=elsewhere, env=env, capture_output=True, text=True, check=False
        )

    missing = run("", "--version")
    assert missing.returncode == 1, "the test is void: unrote is there without the wheel"
    done = run(str(wheel), "clean", few_documents, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert written(tmp_path / "out") == by_default
    assert (
        "measure" in run(str(wheel), "init", "--policy", "policy.toml").stdout
        or (elsewhere / "policy.toml").exists()
    )
