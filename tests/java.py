"""The Java of tests: brief, and with the classes of Spark that `tests.java_archive` kept."""

import sys
from pathlib import Path

BRIEF = (
    "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC "
    "-XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
)
"""Options of a Java that lives for seconds: it optimises nothing, has one thread for garbage, and
takes Spark's classes as they are."""

ARCHIVE = Path(sys.prefix) / "spark-classes.jsa"
"""Spark's classes as Java has them in memory (class data sharing). To read and link them from jars
is two fifths of a start with a small job. A Java that did not write it passes it over."""


def brief_java() -> str:
    """Java's options for tests, in one string."""
    return f"{BRIEF} -XX:SharedArchiveFile={ARCHIVE} -Xlog:disable" if ARCHIVE.exists() else BRIEF
