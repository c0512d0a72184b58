"""Where `pii.everywhere` is set: what was replaced in one document is left in no other."""

from collections.abc import Iterable
from typing import BinaryIO

from unrote.pipelines.verify.leaks import core_of
from unrote.pipelines.verify.released import LEAK, Left
from unrote.pipelines.verify.spellings import Sought, Spelled
from unrote.pipelines.verify.state import Run, write_scratch

SHORTEST = 9
"""Letters and digits of a value that others do not have by chance; of an e-mail address 6."""


class Elsewhere:
    """What was replaced in any document, and what was kept of all that are released.

    scratch: what was kept lies there until all values are known.
    """

    def __init__(self, scratch: BinaryIO) -> None:
        self._scratch = scratch
        self._sizes: list[tuple[int, int]] = []
        self._types: dict[str, str] = {}

    def add(self, doc: int, left: Iterable[Left]) -> None:
        """Take in a document that is released."""
        kept: list[str] = []
        for one in left:
            kept += one.chunks
            for finding in one.changed:
                core = core_of(one.text[finding.start : finding.end], finding.type)
                if _is_one_value(core):
                    self._types.setdefault(core, finding.type)
        content = "\n".join(kept).encode("utf-8", "surrogatepass")
        write_scratch(self._scratch, content)
        self._sizes.append((doc, len(content)))

    def check(self, run: Run) -> None:
        """Expect none of the values in what was kept."""
        sought = Sought(self._types)
        self._scratch.seek(0)
        for doc, size in self._sizes:
            text = self._scratch.read(size).decode("utf-8", "surrogatepass")
            there = Spelled(text).holds(sought)
            run.tally["elsewhere"].expect(
                not there,
                "%s holds what was replaced in another document: %s",
                run.name_of(doc),
                ", ".join(sorted(self._types[core] for core in there)[:5]),
            )


def _is_one_value(core: str) -> bool:
    solid = sum(map(str.isalnum, core))
    if "@" in core:
        return solid >= LEAK
    return solid >= SHORTEST and any(map(str.isdigit, core))
