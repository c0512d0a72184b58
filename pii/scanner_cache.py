"""Scanners, opened when they are needed and kept: importing Presidio takes a second, opening its
recognisers another.

Presidio and spaCy import torch and transformers where these are installed, which takes seconds.
Only models for names need them, and perhaps a user's recognisers, so these imports are blocked
where neither is configured.
"""

import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING

from unrote.corpus.extras import require
from unrote.corpus.imports import block_imports
from unrote.pii.config import Config

if TYPE_CHECKING:
    from unrote.pii.scanner import Scanner

_thread = threading.local()


def open_scanner(config: Config) -> "Scanner":
    """A new scanner. Raises ConfigError where a configured model, or the extra pii, is missing."""
    require("pii", "Looking for personal data")
    blocked = ("torch", "transformers", "stanza", "gliner")
    with nullcontext() if config.has_unknown_types else block_imports(*blocked):
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
