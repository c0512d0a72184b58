"""Engines by name. Each is imported when it is asked for."""

from pipelines.engines.base import Engine


def open_engine(name: str, workers: int, memory: int) -> Engine:
    """The engine of that name with `workers` workers and about `memory` bytes."""
    from pipelines.engines.local import LocalEngine  # noqa: PLC0415 - only the engine in use

    engines = {"local": LocalEngine}
    return engines[name](workers, memory)
