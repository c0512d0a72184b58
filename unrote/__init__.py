"""unrote stops language models from learning their training data by rote.

On texts in memory::

    unrote.signatures(texts)        MinHash signatures
    unrote.to_datasketch(signed)    the same for datasketch, and back: unrote.from_datasketch
    unrote.near_duplicates(texts)   which texts are near-duplicates, and of which
    unrote.duplicate_spans(texts)   passages that occur earlier
    unrote.scan(texts)              personal data, secrets, and traces of earlier de-identification
    unrote.scrub(texts, key=...)    the same, replaced
    unrote.score(texts)             what a model trained on them would memorize

On a corpus on disk, as the commands of the same names::

    unrote.clean("corpus/", "cleaned/")
    unrote.gate("corpus/", "policy.toml")
    unrote.verify("cleaned/")
    unrote.open_run("cleaned/")     a finished run: report, settings, tables

In a Spark or Beam program of your own: `unrote.spark` and `unrote.beam`.

Every name is loaded when it is first used: `import unrote` takes milliseconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unrote.corpus.errors import (
        ConfigError,
        InputChanged,
        InputError,
        OutputError,
        OutputInUse,
        RunError,
        StorageError,
        TooManyRejects,
        UnroteError,
        UsageError,
    )
    from unrote.corpus.version import VERSION as __version__  # noqa: N811
    from unrote.dedup.minhash import signatures
    from unrote.dedup.near import near_duplicates
    from unrote.dedup.sketches import from_datasketch, to_datasketch
    from unrote.dedup.spans import duplicate_spans
    from unrote.memorization import score
    from unrote.pii import scan, scrub
    from unrote.pii.findings import DetectionFailed
    from unrote.pipelines.api import clean, gate, open_run, verify

_HOMES = {
    "corpus.errors": (
        "ConfigError",
        "InputChanged",
        "InputError",
        "OutputError",
        "OutputInUse",
        "RunError",
        "StorageError",
        "TooManyRejects",
        "UnroteError",
        "UsageError",
    ),
    "dedup.minhash": ("signatures",),
    "dedup.near": ("near_duplicates",),
    "dedup.sketches": ("from_datasketch", "to_datasketch"),
    "dedup.spans": ("duplicate_spans",),
    "memorization": ("score",),
    "pii": ("scan", "scrub"),
    "pii.findings": ("DetectionFailed",),
    "pipelines.api": ("clean", "gate", "open_run", "verify"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

_DOORS = ("beam", "spark")
"""Modules for programs of their own, which import what they are for."""

__all__ = [
    "ConfigError",
    "DetectionFailed",
    "InputChanged",
    "InputError",
    "OutputError",
    "OutputInUse",
    "RunError",
    "StorageError",
    "TooManyRejects",
    "UnroteError",
    "UsageError",
    "__version__",
    "clean",
    "duplicate_spans",
    "from_datasketch",
    "gate",
    "near_duplicates",
    "open_run",
    "scan",
    "score",
    "scrub",
    "signatures",
    "to_datasketch",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from unrote.corpus.version import VERSION  # noqa: PLC0415 (all names load when used)

        return VERSION
    if name in _DOORS:
        return import_module(f"unrote.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'unrote' has no attribute {name!r}")
    value = getattr(import_module(f"unrote.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
