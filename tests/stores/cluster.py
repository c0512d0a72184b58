"""A standalone cluster of Spark's on this machine, whose workers see nothing of the driver's files.

Each worker, with its executors, has a mount namespace of its own, in which an empty file system
lies over a folder; and an address of its own, since Spark reads what executors on one host shuffle
from each other's folders.
"""

import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyspark
import pytest

from tests.conformance.observed import below

SPARK = Path(pyspark.__file__).parent

_UNSHARED = (
    ("unshare", "--mount"),
    ("unshare", "--user", "--map-root-user", "--mount"),
)
"""For root, and for others where users may have namespaces."""


@dataclass
class Worker:
    """A worker's process, and the folder that it has to itself, of which nobody else sees more than
    that it is hidden.
    """

    process: subprocess.Popen[bytes]
    own: Path

    def seen(self, path: Path) -> Path:
        """What the worker sees at `path`."""
        return Path(f"/proc/{self.process.pid}/root{path}")

    def executors(self) -> list[int]:
        """Its executors' processes."""
        return [pid for pid in below(self.process.pid) if b"CoarseGrainedExecutor" in _words(pid)]

    @property
    def is_working(self) -> bool:
        """Whether a task of ours runs."""
        return any(self.seen(self.own).glob("unrote-*"))


@dataclass
class Cluster:
    master: str
    workers: list[Worker]


def _words(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def unshared(hidden: Path) -> tuple[str, ...]:
    """The command that gives a process a mount namespace of its own."""
    tried = []
    for words in _UNSHARED:
        mount = ["mount", "-t", "tmpfs", "none", str(hidden)]
        done = subprocess.run([*words, *mount], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return words
        tried.append(f"{shlex.join(words)}: {done.stderr.strip()}")
    pytest.fail(
        "this test gives Spark's workers mount namespaces of their own, and may not make any here "
        f"({'; '.join(tried)}). Run it as root, or where users may have namespaces (sysctl "
        "kernel.apparmor_restrict_unprivileged_userns=0)."
    )


@contextmanager
def cluster(hidden: Path, logs: Path, environment: dict[str, str]) -> Iterator[Cluster]:
    """A master and two workers of one core each; the workers see an empty folder `hidden`."""
    env = {k: v for k, v in os.environ.items() if "PYSPARK" not in k} | environment
    env |= {"SPARK_HOME": str(SPARK)}
    words = unshared(hidden)
    started: list[subprocess.Popen[bytes]] = []
    try:
        log = logs / "master.log"
        own_env = env | {"SPARK_LOCAL_IP": "127.0.0.1"}
        started.append(_start(log, own_env, *_class("master.Master", "127.0.0.1"), "--port", "0"))
        master = _said(log, started[0], r"Starting Spark master at (spark://\S+)")
        workers = []
        for number in (1, 2):
            own, host = hidden / f"worker-{number}", f"127.0.0.{number + 1}"
            there = env | {"TMPDIR": str(own), "SPARK_LOCAL_DIRS": str(own), "SPARK_LOCAL_IP": host}
            run = shlex.join([*_class("worker.Worker", host), "--cores", "1", "--memory", "1g",
                              "--work-dir", str(own), master])  # fmt: skip
            over = shlex.join(["mount", "-t", "tmpfs", "none", str(hidden)])
            shell = f"{over} && mkdir {shlex.quote(str(own))} && exec {run}"
            log = logs / f"worker-{number}.log"
            started.append(_start(log, there, *words, "sh", "-c", shell))
            _said(log, started[-1], r"(Successfully registered with master)")
            workers.append(Worker(started[-1], own))
        yield Cluster(master, workers)
    finally:
        for process in reversed(started):
            for pid in [*below(process.pid), process.pid]:
                try:
                    os.kill(pid, 9)
                except ProcessLookupError:
                    continue
            process.wait()


def _class(name: str, host: str) -> list[str]:
    ports = ["--host", host, "--webui-port", "0"]
    return [str(SPARK / "bin" / "spark-class"), f"org.apache.spark.deploy.{name}", *ports]


def _start(log: Path, env: dict[str, str], *words: str) -> subprocess.Popen[bytes]:
    with log.open("wb") as file:
        return subprocess.Popen(words, stdout=file, stderr=file, stdin=subprocess.DEVNULL, env=env)


def _said(log: Path, process: subprocess.Popen[bytes], pattern: str) -> str:
    """What a process says in its log, once it does."""
    deadline = time.monotonic() + 60
    while not (found := re.search(pattern, log.read_text(errors="replace"))):
        assert process.poll() is None, log.read_text(errors="replace")
        assert time.monotonic() < deadline, log.read_text(errors="replace")
        time.sleep(0.05)
    return found.group(1)
