"""spark-submit on a cluster of processes, where unrote comes as a wheel and in no other way."""

import os
import shutil
import subprocess
from pathlib import Path

import pyspark
import pytest

from tests.command import ROOT, written
from tests.java import brief_java
from tests.wheel import bare_python


@pytest.mark.timeout(1200)
def test_the_wheel_is_enough(wheel, few_documents, by_default, tmp_path):
    """Driver and two executors, each a process of its own, answer as the local engine does."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    python = bare_python(tmp_path / "bare")
    program = shutil.copy(ROOT / "examples" / "spark_submit.py", elsewhere)
    home = Path(pyspark.__file__).parent
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {
        "SPARK_HOME": str(home),
        "PYSPARK_PYTHON": str(python),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    asked = subprocess.run([python, "-c", "import unrote"], cwd=elsewhere, env=env, check=False)
    assert asked.returncode == 1, "the test is void: unrote is there without the wheel"
    submit = [home / "bin" / "spark-submit", "--master", "local-cluster[2,1,1024]"]
    submit += ["--conf", f"spark.executor.extraJavaOptions={brief_java()}"]
    submit += ["--py-files", wheel, program, "clean", few_documents, "-o", tmp_path / "out"]
    done = subprocess.run(
        [*submit, "--engine", "spark"],
        cwd=elsewhere,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "26 documents in" in done.stdout  # where spark-submit sends our stderr, too
    assert written(tmp_path / "out") == by_default
