"""What an installation has: the extras of the package, and what to install where one is missing."""

import sys
from collections.abc import Mapping
from importlib.util import find_spec

from unrote.corpus.errors import ConfigError

EXTRAS: Mapping[str, tuple[str, ...]] = {
    "pii": ("presidio_analyzer", "phonenumbers", "tldextract", "faker"),
    "datasketch": ("datasketch",),
    "warc": ("warcio",),
    "telemetry": ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"),
    "lineage": ("openlineage",),
    "languages": ("py3langid",),
    "score": ("torch", "transformers", "tokenizers", "safetensors"),
}
"""The packages that an extra brings and that what it is for cannot do without, by import name."""


def installed(extra: str) -> bool:
    """Whether all packages of an extra are there."""
    return not _missing(extra)


def require(extra: str, what: str, otherwise: str = "") -> None:
    """Raise ConfigError where a package of an extra is missing.

    what: what needs it, as a sentence begins ("Scoring"). otherwise: what to do without it.
    """
    if missing := _missing(extra):
        instead = f", or {otherwise}" if otherwise else ""
        raise ConfigError(
            f"{what} needs {', '.join(missing)}, which this installation lacks: "
            f"pip install 'unrote[{extra}]'{instead}."
        )


def _missing(extra: str) -> list[str]:
    return [name for name in EXTRAS[extra] if not _is_there(name)]


def _is_there(name: str) -> bool:
    try:
        return name in sys.modules or find_spec(name) is not None
    except ModuleNotFoundError:  # hidden (corpus.imports)
        return False
