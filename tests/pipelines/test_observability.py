"""What others are told of a run: OpenTelemetry spans, OpenLineage events. Real clients, and a
server on this machine that takes what they send.
"""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.command import unrote
from tests.corpora import documents, rows, write_jsonl
from unrote.corpus.errors import ConfigError
from unrote.pipelines.engines.local import LocalEngine
from unrote.pipelines.lineage import dataset_of
from unrote.pipelines.tracing import traced

DEDUP = ("dedup.near.enabled=false", "dedup.passages.enabled=false")


@pytest.fixture
def small(tmp_path):
    write_jsonl(tmp_path / "in" / "a.jsonl", rows(documents(1, 10), "a"))
    return tmp_path / "in"


@pytest.fixture
def server():
    """Its address, and what it was sent."""
    sent: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}", sent
        http.shutdown()
        thread.join()


def dedup(small, out, *given):
    chosen = [word for setting in (*DEDUP, *given) for word in ("--set", setting)]
    return unrote("dedup", small, "-o", out, "-q", *chosen)


class TestSpans:
    @pytest.fixture(autouse=True)
    def endpoint(self, server, monkeypatch):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server[0])
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")

    @staticmethod
    def spans(server):
        found = []
        for path, content in server[1]:
            assert path == "/v1/traces"
            request = ExportTraceServiceRequest.FromString(content)
            for resource in request.resource_spans:
                service = {a.key: a.value.string_value for a in resource.resource.attributes}
                assert service["service.name"] == "unrote"
                found += [span for scope in resource.scope_spans for span in scope.spans]
        return {span.name: span for span in found}

    def test_a_run_and_its_phases(self, small, tmp_path, server, monkeypatch):
        monkeypatch.setenv("TRACEPARENT", f"00-{'1' * 32}-{'2' * 16}-01")
        assert dedup(small, tmp_path / "out").status == 0
        spans = self.spans(server)
        manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
        assert {phase["name"] for phase in manifest["phases"]} | {"pin"} <= set(spans)
        whole = spans["unrote dedup"]
        assert whole.trace_id.hex() == "1" * 32
        assert whole.parent_span_id.hex() == "2" * 16
        run = {each.key: each.value.string_value for each in whole.attributes}["unrote.run"]
        assert manifest["fingerprint"].startswith(run)
        assert spans["pin"].parent_span_id == whole.span_id

    def test_one_that_fails_says_the_name_of_the_error_alone(
        self, small, tmp_path, server, monkeypatch
    ):
        def fail(*_):
            raise ValueError("text of a document")

        monkeypatch.setattr(LocalEngine, "execute", fail)
        assert dedup(small, tmp_path / "out").status == 3
        whole = self.spans(server)["unrote dedup"]
        assert (whole.status.code, whole.status.message) == (2, "ValueError")
        assert all(b"text of a document" not in content for _, content in server[1])

    def test_another_exporter_is_refused(self):
        with (
            pytest.raises(ConfigError, match="OTEL_TRACES_EXPORTER=zipkin is not known"),
            traced("clean", {"OTEL_TRACES_EXPORTER": "zipkin"}),
        ):
            pass

    @pytest.mark.parametrize("name", ["OTEL_SDK_DISABLED=true", "OTEL_TRACES_EXPORTER=none"])
    def test_none_where_they_are_switched_off(self, small, tmp_path, server, monkeypatch, name):
        monkeypatch.setenv(*name.split("="))
        monkeypatch.delitem(sys.modules, "opentelemetry.sdk.trace", raising=False)
        assert dedup(small, tmp_path / "out").status == 0
        assert server[1] == []


class TestLineage:
    def test_start_and_end_with_what_was_read_and_written(
        self, small, tmp_path, server, monkeypatch
    ):
        monkeypatch.setenv("OPENLINEAGE_URL", server[0])
        job = ("lineage.enabled=true", "lineage.namespace=nightly", "lineage.job=dedup-web")
        assert dedup(small, tmp_path / "out", *job).status == 0
        start, complete = (json.loads(content) for _, content in server[1])
        assert (start["eventType"], complete["eventType"]) == ("START", "COMPLETE")
        assert start["run"]["runId"] == complete["run"]["runId"]
        assert {path for path, _ in server[1]} == {"/api/v1/lineage"}
        for event in (start, complete):
            assert (event["job"]["namespace"], event["job"]["name"]) == ("nightly", "dedup-web")
            assert [(d["namespace"], d["name"]) for d in event["inputs"]] == [("file", str(small))]
            assert [d["name"] for d in event["outputs"]] == [str(tmp_path / "out")]

    @pytest.mark.parametrize(
        ("error", "state"), [(ValueError("of a document"), "FAIL"), (KeyboardInterrupt(), "ABORT")]
    )
    def test_how_it_ended(self, small, tmp_path, server, monkeypatch, error, state):
        def fail(*_):
            raise error

        monkeypatch.setenv("OPENLINEAGE_URL", server[0])
        monkeypatch.setattr(LocalEngine, "execute", fail)
        assert dedup(small, tmp_path / "out", "lineage.enabled=true").status == 3
        event = json.loads(server[1][-1][1])
        assert event["eventType"] == state
        assert event["job"]["name"] == "unrote.dedup"
        said = event["run"].get("facets", {}).get("errorMessage", {}).get("message")
        assert said == ("ValueError" if state == "FAIL" else None)
        assert b"of a document" not in server[1][-1][1]

    def test_a_server_that_is_gone_is_a_note(self, small, tmp_path, monkeypatch):
        monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "http")
        monkeypatch.setenv("OPENLINEAGE__TRANSPORT__URL", "http://127.0.0.1:1")
        monkeypatch.setenv("OPENLINEAGE__TRANSPORT__RETRY", '{"total": 0}')  # else 9 s, twice
        given = [word for each in (*DEDUP, "lineage.enabled=true") for word in ("--set", each)]
        done = unrote("dedup", small, "-o", tmp_path / "out", *given)
        assert done.status == 0
        assert "OpenLineage was not told of START" in done.err
        assert "OpenLineage was not told of COMPLETE" in done.err

    def test_nowhere_to_send_it(self, small, tmp_path, monkeypatch):
        monkeypatch.delenv("OPENLINEAGE_URL", raising=False)
        done = dedup(small, tmp_path / "out", "lineage.enabled=true")
        assert done.status == 2
        assert "was not told where events go" in done.err

    @pytest.mark.parametrize(
        ("name", "dataset"),
        [
            ("/data/in", ("file", "/data/in")),
            ("s3://bucket/web/a.jsonl", ("s3://bucket", "web/a.jsonl")),
            ("gs://bucket/web", ("gs://bucket", "web")),
        ],
    )
    def test_names_of_datasets(self, name, dataset):
        assert dataset_of(name) == dataset


def test_nothing_of_it_is_imported_unasked():
    program = (
        "import sys, unrote.pipelines.job\n"
        "print([m for m in sys.modules if m.startswith(('opentelemetry', 'openlineage'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
