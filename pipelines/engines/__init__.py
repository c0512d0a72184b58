"""Engines by name. Each is imported when it is asked for."""

from unrote.pipelines.config import EngineSettings
from unrote.pipelines.engines.base import Engine


def open_engine(settings: EngineSettings) -> Engine:
    """The engine that the settings name. Raises UsageError where it cannot be started."""
    if settings.name == "spark":
        from unrote.pipelines.engines.spark import SparkEngine  # noqa: PLC0415 - only the engine in use

        return SparkEngine(settings)
    if settings.name == "beam":
        from unrote.pipelines.engines.beam import BeamEngine  # noqa: PLC0415

        return BeamEngine(settings)
    from unrote.pipelines.engines.local import LocalEngine  # noqa: PLC0415

    return LocalEngine(settings)
