"""Speed of scrubbing in two checkouts, slice by slice in turn: what disturbs, disturbs both.

    python benchmarks/pii_versions.py --before FOLDER [--megabytes 1] [--detector] FILE.jsonl [...]

FOLDER is another checkout of this repository (`git worktree add FOLDER COMMIT`). Each has a
process, with one key; both are given the same texts in slices, and every other slice goes to the
other one first; the first slice does not count. Prints, for each file, megabytes a second
of processor time, and whether the tables of findings and replacements were the same. --detector
looks for personal data and secrets but names, and replaces nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
SLICE = 50_000  # characters
CHILD, DETECTOR = "--child", "--detector"


def slices(path: Path, megabytes: float) -> Iterator[list[str]]:
    """The texts of a file, in slices; the first is to warm up."""
    part: list[str] = []
    size = held = 0
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            text = json.loads(line)["text"]
            part.append(text)
            size += len(text)
            if size >= SLICE:
                yield part
                held += size
                part, size = [], 0
            if held > megabytes * 1e6:
                return
    if part:
        yield part


def child() -> None:
    """Answer each line of standard input, which is a slice, by its seconds and digest."""
    run = detecting() if DETECTOR in sys.argv else scrubbing()
    for line in sys.stdin:
        texts = json.loads(line)
        began = time.process_time()
        done = run(texts)
        took = time.process_time() - began
        print(took, hashlib.sha256(repr(done).encode("utf-8")).hexdigest(), flush=True)


def scrubbing() -> Callable[[list[str]], object]:
    from unrote.pii.config import actions_for, default_config
    from unrote.pii.keys import Key
    from unrote.pii.scrubbing import scrub_texts

    key, config, actions = Key(b"k" * 32), default_config(), actions_for()

    def run(texts: list[str]) -> object:
        done = scrub_texts(texts, list(map(str, range(len(texts)))), config, actions, key)
        return done.findings.to_pylist(), done.texts, done.rejected

    return run


def detecting() -> Callable[[list[str]], object]:
    from unrote.pii.config import default_config
    from unrote.pii.detector import Detector

    detector = Detector(replace(default_config(), names=False))
    return lambda texts: [detector.find_bytes(text.encode()) for text in texts]


class Checkout:
    """A process that scrubs with the code of a checkout."""

    def __init__(self, folder: Path, more: list[str]) -> None:
        command = [sys.executable, str(Path(__file__).resolve()), CHILD, *more]
        environment = {**os.environ, "PYTHONPATH": str(folder)}
        self._process = subprocess.Popen(
            command, cwd=folder, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.seconds = 0.0

    def scrub(self, texts: list[str]) -> str:
        """Scrub a slice, and add to `seconds`. Returns the digest of the result."""
        asked, answered = self._process.stdin, self._process.stdout
        if asked is None or answered is None:
            raise RuntimeError("the process has no pipes")
        asked.write(json.dumps(texts) + "\n")
        asked.flush()
        took, digest = answered.readline().split()
        self.seconds += float(took)
        return digest

    def close(self) -> None:
        self._process.communicate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--before", type=Path, required=True)
    parser.add_argument("--megabytes", type=float, default=1.0)
    parser.add_argument(DETECTOR, action="store_true")
    given = parser.parse_args()
    more = [DETECTOR] if given.detector else []
    both = [Checkout(folder, more) for folder in (given.before.resolve(), HERE)]
    print("| text | before, MB/s | now, MB/s | ratio | same tables |\n|---|--:|--:|--:|---|")
    for path in given.files:
        size, same = 0, True
        for number, texts in enumerate(slices(path, given.megabytes)):
            if number == 1:
                size = 0
                for one in both:
                    one.seconds = 0.0
            order = both if number % 2 else both[::-1]
            same &= len({one.scrub(texts) for one in order}) == 1
            size += sum(len(text.encode("utf-8", "replace")) for text in texts)
        old, new = (size / one.seconds / 1e6 for one in both)
        speeds = (f"{speed:.2f}" for speed in (old, new, new / old))
        cells = (f"{path.stem}, {size / 1e6:.1f} MB", *speeds, "yes" if same else "NO")
        print("|", " | ".join(cells), "|")
    for one in both:
        one.close()


if __name__ == "__main__":
    child() if CHILD in sys.argv else main()
