"""Where a gate's verdict goes, in which formats: stdout, files, or both."""

import io
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from unrote.corpus.errors import StorageError, UsageError
from unrote.pipelines.report.model import Report
from unrote.pipelines.report.terminal import print_verdict
from unrote.pipelines.report.verdicts import FORMATS, PolicyFile

TEXT = "text"
"""The format for people, which is not one of FORMATS."""

WIDTH = 100
"""Columns of text in a file."""


@dataclass(frozen=True)
class Asked:
    """A format, and the file that it goes to; "" is stdout."""

    name: str
    file: str


def asked_formats(options: Sequence[str]) -> list[Asked]:
    """What `--format NAME` and `--format NAME=FILE` say; text on stdout where there is none.

    Raises UsageError for an unknown name, for two that go to the same place, and for a file whose
    folder is not there.
    """
    asked = []
    for option in options:
        name, named, file = option.partition("=")
        if name not in (TEXT, *FORMATS):
            raise UsageError(f"no format {name!r}. There are {', '.join((TEXT, *FORMATS))}.")
        if named and not (file and Path(file).absolute().parent.is_dir()):
            raise UsageError(f"--format {option} names no file in a folder that is there.")
        asked.append(Asked(name, file))
    places = [os.path.realpath(one.file) if one.file else "stdout" for one in asked]
    for place in places:
        if places.count(place) > 1:
            raise UsageError(
                f"two formats go to {place}. Name a file for each, as in --format junit=gate.xml."
            )
    return asked or [Asked(TEXT, "")]


def write_verdict(
    asked: Sequence[Asked], report: Report, policy: str | os.PathLike[str], out: str
) -> None:
    """Write the verdict of `report`, which the rules in the file `policy` gave.

    out: the run's folder, "" where it is not kept. Raises StorageError where a file cannot be
    written.
    """
    source = PolicyFile.of(os.fspath(policy), Path(policy).read_text(encoding="utf-8"))
    for one in asked:
        if not one.file and one.name == TEXT:
            print_verdict(report, out)
            continue
        content = _text(report, out) if one.name == TEXT else FORMATS[one.name](report, source)
        if not one.file:
            sys.stdout.write(content)
            continue
        try:
            Path(one.file).write_text(content, encoding="utf-8")
        except OSError as error:
            raise StorageError(
                f"cannot write the verdict to {one.file}: {error.strerror}. Name another file."
            ) from None


def _text(report: Report, out: str) -> str:
    content = io.StringIO()
    print_verdict(
        report, out, Console(file=content, width=WIDTH, highlight=False, markup=False, emoji=False)
    )
    return content.getvalue()
