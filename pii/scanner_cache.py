"""Scanners, opened when they are needed and kept: importing Presidio takes a second, opening its
recognisers another.

Presidio and spaCy import torch and transformers where these are installed, which takes seconds.
Only models for names need them, and perhaps a user's recognisers, so these imports are blocked
where neither is configured. So is spaCy's command line, by which Presidio downloads models: that is
two fifths of importing spaCy.
"""

import importlib
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

from unrote.corpus.extras import require
from unrote.corpus.imports import block_imports, empty_modules
from unrote.pii.config import Config

if TYPE_CHECKING:
    from unrote.pii.scanner import Scanner

_thread = threading.local()


def open_scanner(config: Config) -> "Scanner":
    """A new scanner. Raises ConfigError where a configured model, or the extra pii, is missing."""
    require("pii", "Looking for personal data")
    blocked = ("torch", "transformers", "stanza", "gliner")
    with ExitStack() as stack:
        if config.has_unknown_types:
            importlib.import_module("spacy.cli")  # which may have been left out before
        else:
            stack.enter_context(block_imports(*blocked))
            stack.enter_context(empty_modules("spacy.cli", "spacy.cli.info"))
        from unrote.pii.scanner import Scanner  # noqa: PLC0415 (what this module is for)

    return Scanner(config)


def scanner_of(config: Config) -> "Scanner":
    """The scanner of a configuration, opened once for each thread."""
    if not hasattr(_thread, "scanners"):
        _thread.scanners = {}
    scanners: dict[Config, Scanner] = _thread.scanners
    if config not in scanners:
        scanners[config] = open_scanner(config)
    return scanners[config]
