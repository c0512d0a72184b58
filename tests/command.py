"""The `unrote` command for tests: in this process, or as a process of its own."""

import contextlib
import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from unrote.pipelines import cli
from unrote.pipelines.config import Settings, load

ROOT = Path(__file__).parent.parent

PLAIN = "memorization.enabled=false"
"""Torch takes seconds to load, in each process, and a model more to read: tests that are not about
that do without."""


def plain(*args: object) -> tuple[object, ...]:
    """The arguments of a command, without memorization unless they speak of it themselves."""
    if args[:1] in (("clean",), ("gate",)) and not any("memorization." in str(a) for a in args):
        return (args[0], "--set", PLAIN, *args[1:])
    return args


def settings(*given: str) -> Settings:
    """The default settings with `given` on top, without memorization unless that says otherwise."""
    return load(None, (PLAIN, *given))


@dataclass
class Done:
    status: int
    out: str
    err: str


def unrote(*args: object, whole: bool = False) -> Done:
    """Run the command here, `plain` unless it is to be `whole`; no signals are caught."""
    given = args if whole else plain(*args)
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["unrote", *map(str, given)]),
        mock.patch("unrote.pipelines.exits.catch_signals"),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            cli.main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
    done = Done(status, out.getvalue(), err.getvalue())
    assert "Traceback" not in done.err or "UNROTE_DEBUG" in os.environ, done.err
    return done


def process(
    *args: object, before: str = "", whole: bool = False, **options: object
) -> subprocess.Popen[str]:
    """Start the command on its own, `plain` unless it is to be `whole`, after the Python code
    `before`.
    """
    given = args if whole else plain(*args)
    # In a background job SIGINT is ignored, and so by its children.
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"import sys\n{heard}\n{before}\nfrom unrote.pipelines.cli import command\ncommand()"
    command = [sys.executable, "-c", program, *map(str, given)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": ROOT}
    return subprocess.Popen(command, **(pipes | options))


def finish(started: subprocess.Popen[str], seconds: float = 120) -> Done:
    out, err = started.communicate(timeout=seconds)
    assert "Traceback" not in (err or ""), err
    assert "Exception ignored" not in (err or ""), err
    return Done(started.returncode, out, err)


def written(out: Path) -> dict[str, str]:
    """SHA-256 of every table and every cleaned shard in OUT."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files_below(out)
        if path.relative_to(out).parts[0] in ("tables", "data")
    }


def files_below(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
