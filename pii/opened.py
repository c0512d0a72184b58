"""Detectors, opened when they are needed: loading Presidio takes a second, opening them another.

Presidio and spaCy import torch and transformers where these are installed, which takes seconds.
Only models for names need them, so they are imported without where no model is asked for.
"""

import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING

from unrote.corpus.extras import require
from unrote.corpus.imports import hidden
from unrote.pii.config import Config, default_config

if TYPE_CHECKING:
    from unrote.pii.scanner import Scanner

_opened = threading.local()


def open_scanner(config: Config) -> "Scanner":
    """The detectors of a configuration. Raises ConfigError where a named model, or the extra pii,
    is missing.
    """
    require("pii", "Looking for personal data")
    with nullcontext() if config.ner else hidden("torch", "transformers", "stanza", "gliner"):
        from unrote.pii.scanner import Scanner  # noqa: PLC0415 (what this module is for)

    return Scanner(config)


def scanner_of(config: Config) -> "Scanner":
    """The same, opened once for each thread."""
    if not hasattr(_opened, "scanners"):
        _opened.scanners = {}
    known: dict[Config, Scanner] = _opened.scanners
    if config not in known:
        known[config] = open_scanner(config)
    return known[config]


def main() -> None:
    """Compile what the default detectors look for, into the user's cache: `make` and the image do
    that once, so that the first run does not.
    """
    open_scanner(default_config())


if __name__ == "__main__":
    main()
