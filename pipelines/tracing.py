"""A run as OpenTelemetry spans: one for it, and one in it for each phase.

Spans go where the program that unrote runs in has set up, or, of the command, where the environment
says (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_EXPORTER=otlp); without either nothing is imported.
No span has text of a document, nor words of an error: those can name rows.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from unrote.corpus.errors import ConfigError
from unrote.corpus.extras import require
from unrote.corpus.version import VERSION
from unrote.pipelines.engines.base import Advance
from unrote.pipelines.progress import Progress

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Spans:
    """Progress as spans below the one of the run."""

    def __init__(self, tracer: Any, whole: Any) -> None:
        self._tracer = tracer
        self._whole = whole

    def begin(self, run: str) -> None:
        self._whole.set_attribute("unrote.run", run)

    @contextmanager
    def phase(self, name: str) -> Iterator[Advance]:
        with _span(self._tracer, name):
            yield lambda _: None

    @contextmanager
    def aside(self, name: str) -> Iterator[None]:
        with _span(self._tracer, name):
            yield

    def note(self, text: str) -> None:  # noqa: ARG002 - it may name a file
        self._whole.add_event("note")


@contextmanager
def traced(kind: str, environment: Mapping[str, str] = os.environ) -> Iterator[Progress | None]:
    """The spans of a job `kind`, all sent when it ends; None where nobody asked for them.

    Raises ConfigError where the environment asks for them and OpenTelemetry is not installed.
    """
    asked = _asked(environment)
    if not asked and "opentelemetry.sdk.trace" not in sys.modules:
        yield None
        return
    require("telemetry", "Sending spans, which OTEL_EXPORTER_OTLP_ENDPOINT asks for,")
    from opentelemetry import trace  # noqa: PLC0415 - an extra
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
        TraceContextTextMapPropagator,
    )

    provider: Any = trace.get_tracer_provider()
    own = asked and not isinstance(provider, TracerProvider)
    if own:
        provider = _provider()
    tracer = provider.get_tracer("unrote", VERSION)
    parent = None
    if not trace.get_current_span().get_span_context().is_valid:
        given = {"traceparent": environment.get("TRACEPARENT", "")}
        parent = TraceContextTextMapPropagator().extract(given)
    try:
        with _span(tracer, f"unrote {kind}", parent) as whole:
            yield Spans(tracer, whole)
    finally:
        if own:  # the command ends at once after its last line
            provider.shutdown()


def _asked(environment: Mapping[str, str]) -> bool:
    """Whether the environment asks for spans. Raises ConfigError where it asks for another way."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER", "")
    if exporter == "none":
        return False
    if exporter not in ("", "otlp"):
        raise ConfigError(
            f"OTEL_TRACES_EXPORTER={exporter} is not known; unrote sends spans by otlp. Set that, "
            "none, or run it by opentelemetry-instrument."
        )
    return exporter == "otlp" or any(environment.get(name) for name in ENDPOINTS)


def _provider() -> Any:
    """What sends spans by OTLP over HTTP, as the environment says."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say more than we do.
    resource = Resource({SERVICE_NAME: "unrote"}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


@contextmanager
def _span(tracer: Any, name: str, parent: Any = None) -> Iterator[Any]:
    """A span that fails with what runs in it, by the error's name alone."""
    from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 - an extra

    with tracer.start_as_current_span(
        name, parent, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield span
        except BaseException as error:
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise
