"""A run as OpenLineage events: what was read, what was written, and how it ended.

Where events go is OpenLineage's own configuration: OPENLINEAGE_URL, or openlineage.yml.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from unrote.corpus.errors import ConfigError
from unrote.corpus.extras import require
from unrote.corpus.storage import is_remote
from unrote.corpus.version import VERSION
from unrote.pipelines.config import LineageSettings
from unrote.pipelines.progress import Progress
from unrote.pipelines.storage import absolute

PRODUCER = f"https://github.com/unrote/unrote/tree/v{VERSION}"


class Events:
    """The events of one run."""

    def __init__(
        self, settings: LineageSettings, kind: str, inputs: Sequence[str], out: str
    ) -> None:
        from openlineage.client import OpenLineageClient  # noqa: PLC0415 - an extra
        from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run  # noqa: PLC0415
        from openlineage.client.uuid import generate_new_uuid  # noqa: PLC0415

        self._client = OpenLineageClient()
        if self._client.transport.kind == "console":
            raise ConfigError(
                "lineage.enabled is true and OpenLineage was not told where events go. Set "
                "OPENLINEAGE_URL, or name a transport in openlineage.yml."
            )
        self._run = Run(runId=str(generate_new_uuid()))
        self._job = Job(namespace=settings.namespace, name=settings.job or f"unrote.{kind}")
        self._inputs = [InputDataset(*dataset_of(name)) for name in inputs]
        self._outputs = [OutputDataset(*dataset_of(out))] if kind != "gate" else []

    def emit(self, state: str, facets: dict[str, Any] | None = None) -> None:
        """Send an event: START, COMPLETE, FAIL or ABORT. Raises what the transport raises."""
        from openlineage.client.event_v2 import Run, RunEvent, RunState  # noqa: PLC0415

        self._client.emit(
            RunEvent(
                eventTime=datetime.now(UTC).isoformat(),
                run=Run(self._run.runId, facets or {}),
                job=self._job,
                eventType=RunState[state],
                inputs=self._inputs,
                outputs=self._outputs,
                producer=PRODUCER,
            )
        )

    def close(self) -> None:
        """Wait for what was sent."""
        self._client.close()


def dataset_of(name: str) -> tuple[str, str]:
    """The namespace and name of a folder, file or URL as OpenLineage's naming has them."""
    if not is_remote(name):
        return "file", str(absolute(name))
    protocol, _, rest = str(absolute(name)).partition("://")
    bucket, _, path = rest.partition("/")
    return f"{protocol}://{bucket}", path or "/"


@contextmanager
def told(
    settings: LineageSettings, kind: str, inputs: Sequence[str], out: str, progress: Progress
) -> Iterator[None]:
    """Tell what becomes of a run, where the settings ask for it.

    What cannot be sent is a note, and the run goes on. Raises ConfigError where nothing says where
    to send it.
    """
    if not settings.enabled:
        yield
        return
    require("lineage", "Telling OpenLineage of runs (lineage.enabled)")
    events = Events(settings, kind, inputs, out)
    _emit(events, progress, "START")
    state, facets = "COMPLETE", {}
    try:
        yield
    except KeyboardInterrupt:
        state = "ABORT"
        raise
    except BaseException as error:
        state, facets = "FAIL", _failed(error)
        raise
    finally:
        _emit(events, progress, state, facets)
        events.close()


def _failed(error: BaseException) -> dict[str, Any]:
    """The error by its name: its words can name rows."""
    from openlineage.client.facet_v2 import error_message_run  # noqa: PLC0415 - an extra

    name = type(error).__name__
    return {"errorMessage": error_message_run.ErrorMessageRunFacet(name, "python")}


def _emit(
    events: Events, progress: Progress, state: str, facets: dict[str, Any] | None = None
) -> None:
    try:
        events.emit(state, facets)
    except Exception as error:  # noqa: BLE001 - every transport has errors of its own
        progress.note(f"OpenLineage was not told of {state} ({type(error).__name__}).")
