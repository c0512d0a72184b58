"""A real S3 server on loopback, and a proxy before it that counts, and fails as stores do."""

import http.client
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BUCKET = "lake"

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}

ERRORS = {
    403: ("AccessDenied", "Access Denied"),
    409: ("ConditionalRequestConflict", "The conditional request cannot succeed"),
    412: ("PreconditionFailed", "At least one of the pre-conditions you specified did not hold"),
    500: ("InternalError", "We encountered an internal error. Please try again."),
    503: ("SlowDown", "Please reduce your request rate."),
}


@contextmanager
def moto() -> Iterator[int]:
    """The port of a server of its own."""
    program = (
        "import logging; logging.getLogger('werkzeug').disabled = True\n"
        "from werkzeug.serving import WSGIRequestHandler as Handler\n"
        "Handler.disable_nagle_algorithm = True\n"
        "from moto.server import ThreadedMotoServer as Server\n"
        "server = Server('127.0.0.1', 0, verbose=False)\n"
        "server.start()\n"
        "print(server.get_host_and_port()[1], flush=True)\n"
        "input()\n"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, "-c", program], text=True, **pipes) as server:
        try:
            yield int(server.stdout.readline())
        finally:
            server.kill()


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    sent: int = 0
    """Bytes of the answer's body."""

    @property
    def key(self) -> str:
        return self.path.partition("?")[0].removeprefix(f"/{BUCKET}/")

    @property
    def is_listing(self) -> bool:
        return "list-type=2" in self.path


@dataclass
class Proxy:
    """What passes through on the way to a server.

    fault: what happens to a request: a status that is answered in the server's place, seconds that
    the answer takes, "lost" for an answer that the server gave and nobody gets, or None.
    """

    port: int
    fault: Callable[[Request], int | float | str | None] = lambda _: None
    requests: list[Request] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fetched(self, prefix: str) -> int:
        """Bytes of objects below a prefix that were fetched."""
        return sum(
            one.sent
            for one in self.requests
            if one.method == "GET" and one.key.startswith(prefix) and not one.is_listing
        )

    def made(self, method: str, pattern: str) -> list[Request]:
        """The requests with keys that match."""
        return [r for r in self.requests if r.method == method and re.search(pattern, r.key)]


class Handler(BaseHTTPRequestHandler):
    """One connection to a proxy."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a body behind its headers waits 40 ms otherwise
    proxy: Proxy
    behind: int

    def log_message(self, *_):
        pass

    def handle_any(self):
        body = self.body()
        request = Request(self.command, self.path, dict(self.headers))
        with self.proxy.lock:
            self.proxy.requests.append(request)
            fault = self.proxy.fault(request)
        if isinstance(fault, int):
            return self.answer(fault, [], error(fault), request)
        if isinstance(fault, float):
            time.sleep(fault)
        there = http.client.HTTPConnection("127.0.0.1", self.behind, timeout=60)
        headers = {k: v for k, v in request.headers.items() if k.lower() not in HOP}
        there.request(self.command, self.path, body, headers)
        answer = there.getresponse()
        content = answer.read()
        there.close()
        if fault == "lost":
            self.close_connection = True
            return None
        return self.answer(answer.status, answer.getheaders(), content, request)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

    def body(self) -> bytes:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        found = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return found

    def answer(self, status, headers, content, request):
        request.sent = len(content)
        self.send_response_only(status)
        size = str(len(content))
        for name, value in headers:
            if name.lower() == "content-length" and self.command == "HEAD":
                size = value
            elif name.lower() not in HOP | {"content-length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", size)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # a client that was killed, or lost patience


@contextmanager
def proxied(behind: int) -> Iterator[Proxy]:
    """A proxy before the server on the port `behind`."""
    handler = type("OneHandler", (Handler,), {"behind": behind})
    with Server(("127.0.0.1", 0), handler) as listening:
        handler.proxy = proxy = Proxy(listening.server_address[1])
        thread = threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            listening.shutdown()


HOP = {"connection", "keep-alive", "transfer-encoding", "expect"}


def error(status: int) -> bytes:
    code, message = ERRORS[status]
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


def environment(port: int) -> dict[str, str]:
    """What tells AWS's clients of a server on this machine."""
    return KEYS | {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def upload(files: object, folder: Path, prefix: str) -> int:
    """Put the files of a folder below a prefix of the bucket; their bytes."""
    size = 0
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            files.pipe_file(f"{BUCKET}/{prefix}/{path.relative_to(folder)}", content)
            size += len(content)
    return size


def downloaded(files: object, prefix: str) -> dict[str, bytes]:
    """The objects below a prefix, by what follows it."""
    files.invalidate_cache()
    root = f"{BUCKET}/{prefix}/"
    return {path[len(root) :]: files.cat_file(path) for path in files.find(root)}


__all__ = ["BUCKET", "Proxy", "Request", "downloaded", "environment", "moto", "proxied", "upload"]
