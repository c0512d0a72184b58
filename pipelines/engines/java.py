"""The Java that Spark needs, looked for before Spark does, whose own errors are long."""

import os
import re
import shutil
import subprocess

from unrote.corpus.errors import UsageError

LEAST = 17
"""The oldest Java that Spark 4 runs on."""

_INSTALL = (
    f"Spark 4 needs Java {LEAST} or newer: install it (Debian, Ubuntu: apt-get install "
    f"openjdk-{LEAST}-jre-headless; macOS: brew install openjdk@{LEAST}) and set JAVA_HOME if "
    "there are several, or use --engine local."
)


def require_java() -> None:
    """Raise UsageError unless the Java that Spark will find is new enough."""
    home = os.environ.get("JAVA_HOME")
    program = os.path.join(home, "bin", "java") if home else shutil.which("java")
    if program is None:
        raise UsageError(f"there is no Java on this machine. {_INSTALL}")
    try:
        done = subprocess.run(
            [program, "-version"], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        where = f"JAVA_HOME is {home}, and " if home else ""
        raise UsageError(f"{where}{program} does not run. {_INSTALL}") from None
    found = re.search(r'version "(?:1\.)?(\d+)', done.stderr + done.stdout)
    if done.returncode or found is None:
        raise UsageError(f"{program} -version fails. {_INSTALL}")
    if int(found.group(1)) < LEAST:
        raise UsageError(f"{program} is Java {found.group(1)}. {_INSTALL}")
