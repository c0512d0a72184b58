"""Asking a detector for the findings in one text."""

from unrote.pii.detector import Detector
from unrote.pii.findings import Failure, Finding


def findings_of(detector: Detector, text: str) -> list[Finding]:
    """The findings by offset, of a text that no recogniser refuses."""
    found = detector.find_bytes(text.encode())
    assert not isinstance(found, Failure), found
    return found
