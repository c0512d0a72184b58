"""The head of an index: which files count. A commit is one small new file."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from unrote.corpus.errors import OutputError, RunError, StorageError
from unrote.dedup.exact import Fingerprint
from unrote.dedup.index.layout import Index
from unrote.dedup.repeats import Anchors
from unrote.dedup.selection import UndecidedSets
from unrote.pipelines.commits import is_sealed, sealed
from unrote.pipelines.config import Settings
from unrote.pipelines.remote import RemotePath
from unrote.pipelines.storage import Location, remove, write_atomically

FORMAT = 1


@dataclass(frozen=True)
class Added:
    """A run that added the documents with first <= number < end.

    run, input: digests of the run (input, settings, state of the index) and of its input; "" where
    documents of it were forgotten since. committed: when the run was started, ISO 8601 in UTC.
    """

    run: str
    input: str
    out: str
    committed: str
    first: int
    end: int


@dataclass(frozen=True)
class Head:
    """What an index says of itself.

    number: counts commits, from 1; 0 is an index that is not written yet.
    rules: the settings that decide what is equal, by name. key: the fingerprint of the key that
    its runs were given, "" where none was. next: the number of the next document.
    list_key, listed: the key, and keyed fingerprints (dedup.index.stages), of what may not come
    back.
    """

    index: Index
    rules: Mapping[str, Any]
    key: str
    list_key: str
    number: int = 0
    next: int = 0
    runs: tuple[Added, ...] = ()
    listed: tuple[str, ...] = ()
    id: str = field(default="", compare=False)
    """The digest of all else."""

    def to_json(self) -> dict[str, Any]:
        """As the file of a head has it, with a digest."""
        tree = {
            "format": FORMAT,
            "number": self.number,
            "rules": dict(self.rules),
            "key": self.key,
            "list_key": self.list_key,
            "next": self.next,
            "runs": [dict(one.__dict__) for one in self.runs],
            "listed": list(self.listed),
            **self.index.to_json(),
        }
        return sealed(orjson.loads(orjson.dumps(tree)))

    @classmethod
    def from_json(cls, folder: str, tree: Mapping[str, Any]) -> "Head":
        """The same again. Raises KeyError, TypeError or ValueError for anything else."""
        if not is_sealed(tree) or tree["format"] != FORMAT:
            raise ValueError
        return cls(
            index=Index.from_json(folder, tree),
            rules=tree["rules"],
            key=tree["key"],
            list_key=tree["list_key"],
            number=tree["number"],
            next=tree["next"],
            runs=tuple(Added(**one) for one in tree["runs"]),
            listed=tuple(tree["listed"]),
            id=tree["digest"],
        )

    def of(self, run: str) -> Added | None:
        """What a run added; None if it is not in the index."""
        return next((one for one in self.runs if one.run == run), None)

    def followed_by(self, **changes: Any) -> "Head":
        """The head of the next commit."""
        head = replace(self, number=self.number + 1, **changes)
        return replace(head, id=head.to_json()["digest"])


def rules_of(settings: Settings) -> dict[str, Any]:
    """The settings, and the versions of stages, that decide what is equal."""
    ours = settings.dedup
    near: dict[str, Any] = {"enabled": False, "keep": ours.near.keep}
    if ours.near.enabled:
        near = ours.near.model_dump(exclude={"method"}) | {"version": UndecidedSets.version}
    passages: dict[str, Any] = {"enabled": ours.passages.enabled}
    if ours.passages.enabled:
        passages |= {"min_bytes": ours.passages.min_bytes, "version": Anchors.version}
    form = ("normalization", "drop_ignorable", "unescape_html")
    return {
        "dedup.exact.normalise": ours.exact.normalise,
        "fingerprints": Fingerprint.version,
        **{f"dedup.near.{name}": value for name, value in near.items()},
        **{f"dedup.passages.{name}": value for name, value in passages.items()},
        **{f"input.{name}": getattr(settings.input, name) for name in form},
    }


def new_head(folder: Location, settings: Settings, key: str) -> Head:
    """The head of an index that is to be made."""
    head = Head(Index(str(folder)), rules_of(settings), key, secrets.token_hex(32))
    return replace(head, id=head.to_json()["digest"])


def refuse_other_rules(head: Head, settings: Settings, key: str) -> None:
    """Raise OutputError where a run would take other things for equal, in one line."""
    ours = rules_of(settings)
    differing = [
        f"{name} = {_toml(head.rules.get(name))} and this run has {_toml(ours.get(name))}"
        for name in {**head.rules, **ours}
        if head.rules.get(name) != ours.get(name)
    ]
    rotated = ""
    if head.key != key:
        given = [f"the key {one[:8]}" if one else "no key" for one in (head.key, key)]
        differing.append(f"{given[0]} and this run has {given[1]}")
        rotated = f" If the key was changed on purpose: unrote index rekey {head.index.folder}"
    if differing:
        raise OutputError(
            f"the index {head.index.folder} was made with {'; '.join(differing)}. Give the "
            f"same, or name another index.{rotated}"
        )


def _toml(value: object) -> str:
    return "none" if value is None else orjson.dumps(value).decode()


def _heads(folder: Location) -> list[int]:
    there = folder / "heads"
    if not isinstance(there, RemotePath) and not there.is_dir():
        return []
    names = [path.name for path in there.iterdir()]
    return sorted(int(name[:8]) for name in names if name[:8].isdigit() and name[8:] == ".json")


def _path(folder: Location, number: int) -> Location:
    return folder / "heads" / f"{number:08d}.json"


def read_head(folder: Location) -> Head | None:
    """The head that counts; None where there is no index. Raises OutputError for a damaged one."""
    for _ in range(10):
        numbers = _heads(folder)
        if not numbers:
            return None
        path = _path(folder, numbers[-1])
        try:
            return Head.from_json(str(folder), orjson.loads(path.read_bytes()))
        except FileNotFoundError:  # replaced in between
            continue
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            raise OutputError(
                f"{path} is damaged, so nothing is known of this index. Bring the index back from "
                "a copy, or name another folder."
            ) from None
    raise StorageError(f"{folder} is written to all the time. Run the same command again.")


def write_head(folder: Location, head: Head) -> None:
    """Let a head count, and drop those before it and all files that it does not speak of.

    Raises RunError where somebody else wrote one in the meantime.
    """
    path = _path(folder, head.number)
    content = orjson.dumps(head.to_json(), option=orjson.OPT_INDENT_2)
    if isinstance(path, RemotePath):
        is_new = bool(path.put_new(content))
    else:
        is_new = not path.exists()
        if is_new:
            write_atomically(path, content)
    if not is_new:
        raise RunError(
            f"another run added to the index {folder} in the meantime; this one added nothing. "
            "Start over with --fresh."
        )
    drop_others(folder, head)


def drop_others(folder: Location, head: Head) -> None:
    """Remove earlier heads, and files that this one does not speak of."""
    for number in _heads(folder):
        if number < head.number:
            remove(_path(folder, number))
    counting = {f"{file.name}.arrow" for file in head.index.files}
    files = folder / "files"
    if isinstance(files, RemotePath) or files.is_dir():
        for path in files.iterdir():
            if path.name not in counting:
                remove(path)
