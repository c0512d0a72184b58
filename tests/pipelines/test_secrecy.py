"""The key of a job reaches no file, no log and no command line, while it runs and after."""

import hmac
import os
import secrets
import time
from pathlib import Path

import pytest

from tests.command import finish, process
from tests.corpora import personal, write_jsonl
from unrote.pii.keys import Key

SECRET = secrets.token_hex(32)


def forms() -> list[bytes]:
    """The secret, and what is made of it and would do in its place."""
    made, _ = Key(SECRET.encode()).__getstate__()
    assert made == hmac.digest(SECRET.encode(), b"unrote key 1", "sha256")
    return [SECRET.encode(), bytes.fromhex(SECRET), made, made.hex().encode()]


def holders(folder: Path, seen: dict[Path, tuple[int, int]]) -> list[str]:
    """Files that hold a form of it, of those that were written since they were `seen`."""
    found = []
    for parent, _, names in os.walk(folder):  # which passes over folders that go in between
        for path in (Path(parent, name) for name in names):
            try:
                state = path.stat()
                now = (state.st_size, state.st_mtime_ns)
                if path.is_file() and seen.get(path) != now:
                    seen[path] = now
                    content = path.read_bytes()
                    found += [path.name for form in forms() if form in content]
            except OSError:  # it went in between
                continue
    return found


def command_lines() -> bytes:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes())
        except OSError:
            continue
    return b"\n".join(lines)


@pytest.mark.parametrize(
    "engine",
    ["local", "beam", pytest.param("spark", marks=pytest.mark.long)],
)
@pytest.mark.parametrize("given", ["variable", "file"])
def test_the_key_stays_in_memory(tmp_path, engine, given):
    folder = tmp_path / "watched"
    temporary = folder / "tmp"
    temporary.mkdir(parents=True)
    write_jsonl(folder / "in" / "a.jsonl", personal(0, 40))
    environment = {name: value for name, value in os.environ.items() if name != "UNROTE_KEY"}
    environment |= {"TMPDIR": str(temporary), "SPARK_LOCAL_DIRS": str(temporary)}
    options = ["--set", f"engine.name={engine}", "--set", "engine.workers=2"]
    if given == "variable":
        environment["UNROTE_KEY"] = SECRET
    else:
        key = tmp_path / "unrote.key"
        key.write_text(SECRET)
        key.chmod(0o600)
        options += ["--set", f"pii.key_file={key}"]
    out = folder / "out"
    seen: dict[Path, tuple[int, int]] = {}
    with process("clean", folder / "in", "-o", out, *options, env=environment) as started:
        while started.poll() is None:
            assert holders(folder, seen) == []
            assert SECRET.encode() not in command_lines()
            time.sleep(0.01)
        done = finish(started)
    assert done.status == 0, done.err
    assert holders(folder, seen) == []
    assert (out / "report.html") in seen
    assert len(seen) > 20
    assert SECRET not in done.out + done.err
