"""One server for all tests, and for each a proxy before it, with clients of their own."""

import json
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from tests.command import settings, written
from tests.corpora import write_corpus
from tests.stores.server import BUCKET, KEYS, Proxy, moto, proxied, upload
from unrote.corpus.storage import use_options
from unrote.pipelines.clean import clean
from unrote.pipelines.progress import Silent


@pytest.fixture(scope="session")
def server() -> Iterator[int]:
    with moto() as port:
        options = options_for(port)["s3"]
        fsspec.filesystem("s3", **options).mkdir(BUCKET)
        yield port


def options_for(port: int) -> dict[str, dict[str, object]]:
    """storage.options for a server on this machine, which give up soon."""
    return {
        "s3": {
            "key": KEYS["AWS_ACCESS_KEY_ID"],
            "secret": KEYS["AWS_SECRET_ACCESS_KEY"],
            "endpoint_url": f"http://127.0.0.1:{port}",
            "config_kwargs": {
                "connect_timeout": 2, "read_timeout": 2, "retries": {"max_attempts": 1}
            },
        }
    }  # fmt: skip


@pytest.fixture
def proxy(server: int) -> Iterator[Proxy]:
    with proxied(server) as proxy:
        use_options(options_for(proxy.port))
        yield proxy
        use_options({})


@pytest.fixture
def files(server: int):
    """The server's files, past the proxy."""
    return fsspec.filesystem("s3", **options_for(server)["s3"])


def set_options(port: int) -> tuple[str, ...]:
    """The same as settings."""
    found = []
    for name, value in options_for(port)["s3"].items():
        if isinstance(value, dict):
            value = "{connect_timeout = 2, read_timeout = 2, retries = {max_attempts = 1}}"
        else:
            value = json.dumps(value)
        found.append(f"storage.options.s3.{name}={value}")
    return tuple(found)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("stores") / "in", count=60)


@pytest.fixture(scope="session")
def stored(server: int, corpus: Path) -> str:
    """The corpus, on the server."""
    upload(fsspec.filesystem("s3", **options_for(server)["s3"]), corpus, "in")
    return f"s3://{BUCKET}/in"


@pytest.fixture(scope="session")
def on_disk(corpus: Path, tmp_path_factory) -> dict[str, str]:
    """Digests of what a run from disk to disk writes."""
    out = tmp_path_factory.mktemp("stores") / "out"
    clean([str(corpus)], str(out), settings(), Silent())
    return written(out)
