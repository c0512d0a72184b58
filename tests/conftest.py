"""Options of the test suite, and the key that all its runs have."""

import os
import signal

import pytest

from tests import examples
from tests.wheel import build_wheel

KEY = "the key of the tests, of which no run depends"

examples.register()


def pytest_configure():
    """A shell's background job ignores SIGINT, and so would all that tests start or interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    parser.addoption(
        "--full-matrix",
        action="store_true",
        help="every configuration with every number of partitions and batch size, on each engine",
    )


@pytest.fixture(autouse=True, scope="session")
def brief_java():
    """Spark's Java, of which tests start dozens, compiles and collects as a short run wants it."""
    os.environ.setdefault("SPARK_SUBMIT_OPTS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")


@pytest.fixture(autouse=True, scope="session")
def key():
    """One key for all runs, those of other processes too, so that they can be compared."""
    before = os.environ.get("UNROTE_KEY")
    os.environ["UNROTE_KEY"] = KEY
    yield KEY
    if before is None:
        del os.environ["UNROTE_KEY"]
    else:
        os.environ["UNROTE_KEY"] = before


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """unrote as a wheel."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))
