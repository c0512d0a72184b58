"""An index, for one run or command at a time."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from unrote.corpus.errors import InputError, OutputError
from unrote.pipelines.commits import read_sealed
from unrote.pipelines.config import Settings
from unrote.pipelines.index.head import Head, new_head, read_head, refuse_other_rules
from unrote.pipelines.locations import MANIFEST, STATE, folder_named, reaching, refuse_overlap
from unrote.pipelines.lock import Held, lock, waited
from unrote.pipelines.storage import Location, make_folder, make_private

WHAT = "the index"


@dataclass(frozen=True)
class OpenIndex:
    """An index that no other process writes to. head: the one that counts."""

    folder: Location
    head: Head
    held: Held

    def refuse_added(self, base: Head, run: str, input: str, out: str) -> None:  # noqa: A002
        """Raise OutputError where another run added the same input, or the index has moved on since
        an unfinished run looked at it.
        """
        if self.head.of(run) is not None:
            return  # and was stopped before it could say so: it goes on
        is_new = base.number == self.head.number == 0  # whose first run was stopped
        if base.id != self.head.id and not is_new:
            raise OutputError(
                f"the index {self.folder} has moved on since the unfinished run in {out} began "
                f"(commit {base.number} then, {self.head.number} now). Start over with --fresh."
            )
        if (same := next((one for one in self.head.runs if one.input == input), None)) is not None:
            raise OutputError(
                f"the index {self.folder} has this input already: the run {same.run[:16]} of "
                f"{same.committed}, with OUT {same.out}, added it. Nothing was done."
            )

    def base(self, out: Location, *, fresh: bool) -> Head:
        """The head that the run in OUT looks at: that which counts, or the one that it looked at
        when it began.
        """
        if not fresh and (known := _known(out / STATE, self.head)) is not None:
            return known
        return self.head


@contextmanager
def open_index(
    named: str,
    settings: Settings,
    key: str,
    inputs: Sequence[str],
    out: str,
    note: Callable[[str], None] = lambda _: None,
) -> Iterator[OpenIndex]:
    """The index that settings name, made if there is none, for a run with these settings and key.

    Raises OutputError where it is no index, is in use, was made with other settings, or overlaps
    with input or OUT.
    """
    folder = folder_named(named, WHAT)
    refuse_overlap(folder, WHAT, inputs)
    result = folder_named(out, "OUT")
    if folder == result or folder in result.parents or result in folder.parents:
        raise OutputError(
            f"{WHAT} {folder} must lie outside OUT {result}, and OUT outside it: it outlives "
            "the run. Name another folder."
        )
    with reaching(named):
        _refuse_foreign(folder)
        make_folder(folder)
        make_private(folder)  # the texts in it are those of the input
    held = _lock(folder, named, settings, note)
    try:
        head = read_head(folder) or new_head(folder, settings, key)
        refuse_other_rules(head, settings, key)
        yield OpenIndex(folder, head, held)
    finally:
        held.close()


def _lock(folder: Location, named: str, settings: Settings, note: Callable[[str], None]) -> Held:
    """The index, for this process alone; it is waited for as OUT is."""
    held: list[Held] = []

    def attempt() -> None:
        held.append(lock(folder, named, settings.output.lock))

    waited(attempt, settings.output.lock_timeout, note)
    return held[0]


@contextmanager
def existing_index(named: str, *, alone: bool) -> Iterator[OpenIndex]:
    """An index that is there; with `alone`, nobody else writes to it meanwhile.

    Raises InputError where there is none, OutputError where it is in use.
    """
    folder = folder_named(named, WHAT)
    if read_head(folder) is None:
        raise InputError(f"{named} is no index. `unrote clean … --index {named}` makes one.")
    held = lock(folder, named, "auto" if alone else "none")
    try:
        head = read_head(folder)
        assert head is not None
        yield OpenIndex(folder, head, held)
    finally:
        held.close()


def _refuse_foreign(folder: Location) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OutputError(f"{folder} is a file; an index is a folder.")
    others = [path.name for path in folder.iterdir() if path.name not in ("files", STATE)]
    if "heads" not in others and (others or (folder / MANIFEST).exists()):
        raise OutputError(
            f"{folder} is not empty and is no index. Name the folder of an index, or a new one."
        )


def _known(state: Location, now: Head) -> Head | None:
    """The head that an unfinished run looked at, None where there is no such run, or it has
    committed nothing.
    """
    phases = state / "phases"
    if not (phases.is_dir() and any(phases.iterdir())):
        return None
    try:
        return Head.from_json(now.index.folder, read_sealed(state / "run.json")["index"])
    except (OSError, KeyError, TypeError, ValueError):
        return None
