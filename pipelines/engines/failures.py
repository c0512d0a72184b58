"""Errors on their way from a worker to the driver, as text that tells nothing of a document."""

import json
import re
import traceback
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import corpus.errors
from corpus.errors import RunError, StorageError, UnroteError

T = TypeVar("T")

_MARK = re.compile(r"unrote-failure (\{.*\})")


class WorkerFailure(Exception):
    """What a worker raises instead of any other error: its text can be read back by the driver."""


def guarded(work: Callable[..., Iterator[T]]) -> Callable[..., Iterator[T]]:
    """`work` with its errors as WorkerFailure. The words of unexpected ones are left out."""

    def run(*args: Any) -> Iterator[T]:
        told = None
        try:
            yield from work(*args)
        except UnroteError as error:
            told = {"type": type(error).__name__, "message": str(error)}
        except OSError as error:
            where = error.filename or "a file"
            told = {
                "type": "StorageError",
                "message": f"cannot read or write {where}: {error.strerror or error}. Free space "
                "there and run the same command again.",
            }
        except MemoryError:
            told = {
                "type": "RunError",
                "message": "a worker is out of memory. Give the workers more, or lower "
                "engine.memory and engine.batch, and run the same command again.",
            }
        except Exception as error:  # noqa: BLE001 - told to the driver, without its words
            lines = "".join(traceback.format_tb(error.__traceback__))
            told = {"type": "", "message": f"{lines}{type(error).__qualname__}"}
        if told is not None:
            raise WorkerFailure(f"unrote-failure {json.dumps(told)}")

    return run


def failure_of(text: str) -> UnroteError | None:
    """The error that a worker told of in `text`, if one did."""
    found = _MARK.search(text)
    if not found:
        return None
    told = json.loads(found.group(1))
    if not told["type"]:
        return RunError(
            "a worker met a bug in unrote. Please report it with these lines; no text of a "
            f"document is in them.\n{told['message']}"
        )
    kind = getattr(corpus.errors, told["type"], StorageError)
    error: UnroteError = kind(told["message"])
    return error
