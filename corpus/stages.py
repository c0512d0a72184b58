"""What stages share: how they are opened, and that most have nothing to prepare."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar, Literal

import pyarrow as pa

from corpus.schema import Tagged

Run = Callable[[Tagged], Tagged]
"""What an opened stage does: tagged batches in, tagged batches out."""

Workers = Literal["thread", "process"]
"""What a stage needs to use a machine's cores: threads, where its work lets go of the interpreter
lock (kernels, Arrow), or processes, where it is Python."""


class PlainStage:
    """A stage that has nothing to prepare: kernels are compiled when first called."""

    version: ClassVar[int] = 1
    key: ClassVar[tuple[str, ...]] = ()
    order: ClassVar[tuple[str, ...]] = ()
    workers: ClassVar[Workers] = "thread"

    @property
    def inputs(self) -> Mapping[str, pa.Schema]:
        raise NotImplementedError

    @property
    def outputs(self) -> Mapping[str, pa.Schema]:
        raise NotImplementedError

    def open(self) -> AbstractContextManager[Run]:
        return nullcontext(self._run)

    def _run(self, tagged: Tagged) -> Tagged:
        raise NotImplementedError
