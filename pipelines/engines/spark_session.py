"""Spark's session: how it is found or started, how it ends, and what its errors mean to a user."""

import logging
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, BinaryIO

from unrote.corpus.errors import RunError, UnroteError, UsageError
from unrote.corpus.packaged import archive
from unrote.pipelines.config import EngineSettings
from unrote.pipelines.engines.failures import failure_of, reason_in, setup_failure
from unrote.pipelines.engines.java import require_java
from unrote.pipelines.engines.network import why_silent
from unrote.pipelines.engines.quiet import end_children, quiet_children

BATCH_BLOCKS = 16
"""Shuffle blocks in one Arrow batch."""

_LEAST = (3, 5)
"""The oldest Spark that this was run with."""

_STOP_SECONDS = 10.0

_NEEDED = {
    "spark.sql.execution.arrow.maxRecordsPerBatch": str(BATCH_BLOCKS),
    "spark.sql.adaptive.enabled": "false",  # blocks say themselves where they go
}


_NO_REASON = re.compile(
    r"\s+at |\d\d/\d\d/\d\d |WARNING:|NOTE:|Picked up |Using Spark|Error occurred during init"
    r"|Error: (Could not create the Java|A fatal exception)"
)
"""What else stands in the log of a Java that ends at once."""


def open_session(settings: EngineSettings) -> Any:
    """A Spark session. Raises UsageError where there cannot be one, and says why."""
    SparkSession = require_pyspark()  # noqa: N806 - a class
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ  # spark-submit started this process
    master = settings.spark.master
    if not submitted:
        require_java()
        master = master or f"local[{settings.worker_count}]"
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if python := settings.spark.conf.get("spark.pyspark.python"):
        os.environ["PYSPARK_PYTHON"] = python  # which is where pyspark looks once it runs
    _require_names(settings.spark.conf)
    _require_master(master)
    builder = SparkSession.builder.appName("unrote")
    if master:
        builder = builder.master(master)
    if not os.environ.get("UNROTE_DEBUG"):
        logging.getLogger().addFilter(_not_py4j)
    for name, value in (_defaults(settings, master) | settings.spark.conf | _NEEDED).items():
        builder = builder.config(name, value)
    with tempfile.TemporaryFile() as log, _own_signals(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with _quiet(submitted, log):
                session = builder.getOrCreate()
        except KeyboardInterrupt:
            if not submitted:
                end_children()  # a Java that is still starting does not look whether we are there
            raise
        except Exception as error:  # noqa: BLE001 - Spark's and py4j's have no base of their own
            log.seek(0)
            raise UsageError(
                f"Spark could not be started with master {master or 'as spark-submit says'}: "
                f"{_why(str(error), log.read().decode(errors='replace'))} Check "
                "engine.spark.master and engine.spark.conf; UNROTE_DEBUG=1 shows Spark's own log."
            ) from None
    for name, value in _NEEDED.items():
        session.conf.set(name, value)  # the session may have been there before
    _send_own_archive(session.sparkContext)
    return session


def session_beside(session: Any) -> Any:
    """A session for our jobs on the context of a user's own, whose settings stay as they are.

    Raises UsageError where there cannot be one.
    """
    require_classic(session)
    with explaining():
        beside = session.newSession()
        for name, value in _NEEDED.items():
            beside.conf.set(name, value)
        _send_own_archive(beside.sparkContext)
    return beside


def is_classic(session: Any) -> bool:
    """Whether a session has a SparkContext; one of Spark Connect has none."""
    return hasattr(session, "_jsparkSession")


def require_classic(session: Any) -> None:
    """Raise UsageError for a session of Spark Connect: our jobs broadcast, and have groups."""
    if not is_classic(session):
        raise UsageError(
            "this session is of Spark Connect (or serverless, or shared compute), which has no "
            "SparkContext; clean and near_duplicates need one. Use a classic session, of "
            "SparkSession.builder.master(…) or spark-submit. scrub and score run here as well."
        )


def close_session(session: Any) -> None:
    """Stop a session; one that does not answer ends when it sees the end of this process."""

    def stop() -> None:
        with suppress(Exception):
            session.stop()

    thread = threading.Thread(target=stop, name="unrote-stop", daemon=True)
    thread.start()
    thread.join(_STOP_SECONDS)


def explained(error: BaseException) -> BaseException:
    """What went wrong in a job, said to the user."""
    text = str(error)
    known = failure_of(text) or setup_failure(text)
    if known is not None or isinstance(error, UnroteError):
        return known or error
    if "PYTHON_VERSION_MISMATCH" in text:
        return UsageError(
            f"the executors run another Python than {sys.version_info[0]}.{sys.version_info[1]}, "
            "which runs here. Name the right one with PYSPARK_PYTHON or --set "
            "engine.spark.conf.spark.pyspark.python=PATH."
        )
    if found := re.search(r'Cannot run program "([^"]*)"', text):
        return UsageError(
            f"the executors have no {found.group(1)}. Name their Python with PYSPARK_PYTHON or "
            "--set engine.spark.conf.spark.pyspark.python=PATH (docs/engines.md)."
        )
    if "Python worker exited unexpectedly" in text:
        return RunError(
            "a Python worker of Spark died, most likely for want of memory. Lower engine.memory, "
            "or give executors more, and run the same command again: it continues after the last "
            "finished phase."
        )
    return RunError(
        f"Spark ended the job: {reason_in(text)} The same command continues after the last "
        "finished phase; UNROTE_DEBUG=1 shows Spark's own log."
    )


@contextmanager
def explaining() -> Iterator[None]:
    """Errors of Spark's and py4j's, in the user's words."""
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("pyspark", "py4j"):
            raise
        raise explained(error) from None


def require_pyspark() -> Any:
    """PySpark's SparkSession. Raises UsageError where it is missing or too old."""
    try:
        import pandas  # noqa: F401, PLC0415 - pyspark asks for it when a job is built
        import pyspark  # noqa: PLC0415 - only where it is asked for
        from pyspark.sql import SparkSession  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(
            f"the engine spark needs {error.name or 'pyspark'}, which is not installed. Install "
            "it with pip install 'unrote[spark]', or use --engine local."
        ) from None
    version = pyspark.__version__
    if tuple(int(n) for n in re.findall(r"\d+", version)[:2]) < _LEAST:
        raise UsageError(
            f"this is Spark {version}; the engine spark needs {_LEAST[0]}.{_LEAST[1]} or newer. "
            "Install it with pip install 'unrote[spark]', submit to a newer cluster, or use "
            "--engine local."
        )
    return SparkSession


def _defaults(settings: EngineSettings, master: str) -> dict[str, str]:
    """Spark settings that the user's own may replace."""
    found = {
        "spark.ui.showConsoleProgress": "false",
        "spark.shuffle.compress": "false",  # blocks are compressed
        "spark.shuffle.spill.compress": "false",
    }
    if not os.environ.get("UNROTE_DEBUG"):
        found["spark.log.level"] = "OFF"  # errors are said by us
    if master.startswith("local"):
        found |= {"spark.ui.enabled": "false", "spark.driver.host": "localhost"}
        found["spark.driver.bindAddress"] = "127.0.0.1"
    if settings.scratch:
        found["spark.local.dir"] = settings.scratch
    return found


def _require_names(conf: dict[str, str]) -> None:
    """Raise UsageError for settings that are none of Spark's: it would leave them out silently."""
    for name in conf:
        if not name.startswith("spark."):
            raise UsageError(
                f"engine.spark.conf has {name!r}. Spark's settings begin with spark., for example "
                "--set engine.spark.conf.spark.executor.memory=4g."
            )


def _require_master(master: str) -> None:
    """Raise UsageError where no standalone master answers: Spark itself would try for minutes."""
    if not master.startswith("spark://"):
        return
    addresses = master.removeprefix("spark://").split(",")
    reasons = [why_silent(address, f"engine.spark.master = {master!r}") for address in addresses]
    if None not in reasons:
        raise UsageError(
            f"the Spark master {master} does not answer: {reasons[0]}. Check the address, that the "
            "master runs and that this machine may reach it, or leave engine.spark.master empty "
            "to run here."
        )


def _quiet(submitted: bool, log: BinaryIO) -> AbstractContextManager[None]:
    """Spark's Java and its workers write to `log`; one that spark-submit started writes already."""
    return nullcontext() if submitted else quiet_children(log)


def _not_py4j(record: logging.LogRecord) -> bool:
    """Whether a message is not py4j's, which tells the root logger of interruptions."""
    return f"{os.sep}py4j{os.sep}" not in record.pathname


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep this process's signal handlers: Spark puts its own for SIGINT."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _send_own_archive(context: Any) -> None:
    """Send executors the wheel that this program runs from, if it does.

    They get what spark-submit --py-files names, but only a .zip is put on their path.
    """
    wheel = archive()
    if wheel is None or wheel.endswith((".zip", ".egg")):
        return
    from pyspark import SparkFiles  # noqa: PLC0415

    folder = Path(SparkFiles.getRootDirectory(), "unrote")  # which Spark removes at its end
    folder.mkdir(exist_ok=True)
    copy = folder / f"{Path(wheel).stem}.zip"
    shutil.copyfile(wheel, copy)
    context.addPyFile(str(copy))


def _why(error: str, log: str) -> str:
    """Why Spark did not start: as the exception says, or Java on its way out before it could."""
    if "JAVA_GATEWAY_EXITED" not in error:
        return reason_in(error)
    lines = [line for line in log.splitlines() if line.strip() and not _NO_REASON.match(line)]
    return reason_in(
        re.sub(r'^Exception in thread "main" [\w.$]+: ', "", lines[0] if lines else "")
    )
