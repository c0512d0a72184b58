"""Personal data and secrets in text: where they are, of what type, and how sure one can be.

>>> from unrote import pii
>>> pii.scan(["Mail jane.roe@unrote.org, please."]).to_pylist()  # doctest: +SKIP
[{'doc': 0, 'start': 5, 'end': 24, 'type': 'EMAIL_ADDRESS', 'score': 1.0, ...}]
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from unrote.pii.config import Config

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Config", "scan"]


def scan(texts: "Iterable[str] | pa.Array", config: Config | None = None) -> "pa.Table":
    """The findings in `texts` as a table: doc (index), start, end (code points), type, score,
    origin (the recogniser's name, or where a marker probably comes from), stands_for (what a
    marker stands for), by document and place. Findings may overlap.

    Opens the detectors, which takes a second or two; keep a `pii.scanner.Scanner` for many calls.
    Raises DetectionFailed for the first text that a recogniser could not finish: a table without
    that text's rows would say that there is nothing in it. (`Scanner.table` lists such texts.)
    Nulls have no findings.
    """
    import pyarrow as pa  # noqa: PLC0415

    from unrote.pii.findings import DetectionFailed  # noqa: PLC0415
    from unrote.pii.opened import open_scanner  # noqa: PLC0415

    plain = texts.to_pylist() if isinstance(texts, pa.Array) else texts
    table, failures = open_scanner(config or Config()).table(text or "" for text in plain)
    if failures:
        first = failures[0]
        raise DetectionFailed(
            f"Text {first.doc}: {first.origin} {first.reason} ({len(failures)} such texts). Leave "
            "it out, raise the limit in Config, or call Scanner.table, which lists them."
        )
    return table
