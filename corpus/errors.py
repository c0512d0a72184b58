"""The errors a user can meet.

* UnroteError
  + UsageError            what was asked cannot be done as asked (exit status 2)
    - ConfigError         a setting is unknown, malformed or out of range
    - InputError          the input cannot be pinned: missing, empty, of an unknown kind
    - OutputError         OUT is not usable: not empty, inside the input, of another run
      . OutputInUse       another run is writing to it (exit status 4)
  + RunError              the job started and could not be finished (exit status 3)
    - TooManyRejects      more rows were rejected than `input.max_rejects` allows
    - InputChanged        a shard is not what it was when the run was pinned
    - StorageError        the disk or object store refused a read or write

Every message says what was wrong, the value, what is allowed, and what to do next.
No message carries text of a document.
"""

from unrote.corpus import display


class UnroteError(Exception):
    """Base of every error this project raises on purpose: one line for each argument.

    Messages name files, ids and settings, which may hold anything: a line is made safe to show.
    """

    exit_status = 3

    def __init__(self, *lines: str) -> None:
        super().__init__(*map(display.line, lines))

    def __str__(self) -> str:
        return "\n".join(self.args)


class UsageError(UnroteError):
    """What was asked cannot be done as asked; nothing was started."""

    exit_status = 2


class ConfigError(UsageError):
    """A setting is unknown, malformed or out of range."""


class InputError(UsageError):
    """The input cannot be pinned: it is missing, empty or of an unknown kind."""


class OutputError(UsageError):
    """OUT cannot be used: it is not empty, lies inside the input or belongs to another run."""


class OutputInUse(OutputError):
    """Another run is writing to OUT. Nothing is wrong: try later."""

    exit_status = 4


class RunError(UnroteError):
    """The job started and could not be finished. The same command continues it."""


class TooManyRejects(RunError):
    """More rows were rejected than `input.max_rejects` allows."""


class InputChanged(RunError):
    """A shard is not what it was when the run was pinned."""


class StorageError(RunError):
    """The disk or object store refused a read or a write."""
