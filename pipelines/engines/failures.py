"""Errors on their way from a worker to the driver, as text that tells nothing of a document."""

import errno
import json
import re
import socket
import traceback
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import unrote.corpus.errors
from unrote.corpus.errors import RunError, StorageError, UnroteError, UsageError

T = TypeVar("T")

_MARK = re.compile(r'unrote-failure (\{".*\})')  # and not the line of code that a traceback shows


class WorkerFailure(Exception):
    """What a worker raises instead of any other error: its text can be read back by the driver."""


def guarded(work: Callable[..., Iterator[T]]) -> Callable[..., Iterator[T]]:
    """`work` with its errors as WorkerFailure. The words of unexpected ones are left out."""

    def run(*args: Any) -> Iterator[T]:
        failure = None
        try:
            yield from work(*args)
        except UnroteError as error:
            failure = {"type": type(error).__name__, "message": str(error)}
        except OSError as error:
            failure = {"type": "StorageError", "message": _refused(error)}
        except MemoryError:
            failure = {
                "type": "RunError",
                "message": "a worker is out of memory. Give the workers more, or lower "
                "engine.memory and engine.batch, and run the same command again.",
            }
        except Exception as error:  # noqa: BLE001 - reported to the driver, without its words
            lines = "".join(traceback.format_tb(error.__traceback__))
            failure = {"type": "", "message": f"{lines}{type(error).__qualname__}"}
        if failure is not None:
            raise WorkerFailure(f"unrote-failure {json.dumps(failure)}")

    return run


def _refused(error: OSError) -> str:
    where, why = error.filename or "a file", error.strerror or error
    if error.errno == errno.ENOENT:
        return (
            f"{where} is not there on {socket.gethostname()}. Workers must see the same files as "
            "the machine where the command runs: name a folder on storage that all of them share, "
            "and run the same command again."
        )
    return f"cannot read or write {where}: {why}. Free space there and run the same command again."


def failure_of(text: str) -> UnroteError | None:
    """The error that a worker reported in `text`, if one did."""
    found = _MARK.search(text)
    if not found:
        return None
    failure = json.loads(found.group(1))
    if not failure["type"]:
        return RunError(
            "a worker met a bug in unrote. Please report it with these lines; no text of a "
            "document is in them.",
            *failure["message"].split("\n"),
        )
    kind = getattr(unrote.corpus.errors, failure["type"], StorageError)
    error: UnroteError = kind(*failure["message"].split("\n"))
    return error


def setup_failure(text: str) -> UsageError | None:
    """What a worker's own Python says in `text` where it is not set up as it must be."""
    if found := re.search(r"No module named '?([\w.]+)", text):
        module = found.group(1).partition(".")[0]
        return UsageError(
            f"the workers have no {module} (no Python module {module}). Install unrote there as it "
            "is here, or send the wheel and an environment along (docs/engines.md)."
        )
    if re.search(r"Can't get attribute '\w+' on <module 'unrote\b", text):
        return UsageError(
            "the workers have another version of unrote than this machine. Give them the same "
            "wheel (docs/engines.md)."
        )
    return None


def reason_in(text: str) -> str:
    """The reason that an engine's error gives, as one short sentence without a stack."""
    java = re.search(r"^: [\w.$]+: (.+)", text, re.MULTILINE)  # py4j puts where it happened first
    lines = [java.group(1)] if java else [line for line in text.splitlines() if line.strip()]
    line = lines[0].strip()[:300].rstrip(".") if lines else "it gives no reason"
    causes = re.findall(r"^Caused by: [\w.$]+: (.+)", text, re.MULTILINE) if java else []
    cause = causes[-1].strip()[:300].rstrip(".") if causes else ""
    return f"{line} ({cause})." if cause and cause not in line else f"{line}."
