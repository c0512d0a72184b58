"""Memorization: which sequences are extractable from a language model, and how probably?

>>> from unrote import memorization
>>> memorization.score(["..."], model="EleutherAI/pythia-410m").to_pylist()  # doctest: +SKIP
[{'doc': 0, 'start': 0, 'end': 412, 'loss': 2.71, 'extractable': False, 'pz_log': -93.4, ...}]

torch is loaded by the first call, not by the import.
"""

from typing import TYPE_CHECKING

from unrote.corpus import openmp  # noqa: F401 - before torch
from unrote.memorization.config import Config

if TYPE_CHECKING:
    import pyarrow as pa

    from unrote.corpus.texts import Texts
    from unrote.memorization.model import LanguageModel

__all__ = ["Config", "score"]


def score(
    texts: "Texts",
    model: "str | LanguageModel" = "default",
    *,
    comparison: "str | LanguageModel | None" = None,
    config: Config | None = None,
    device: str = "auto",
    precision: str = "auto",
    progress: bool = False,
) -> "pa.Table":
    """The sequences of `texts` and their measures: a table of schema memorization.scorer.SCORES.

    model, comparison: "default", a folder, a name in the Hugging Face cache, or a loaded
    memorization.model.LanguageModel (what saves time over many calls). device, precision: as in
    memorization.model.load. progress: a bar on stderr.
    Raises ConfigError for a model or device that is not there or can't be used, RunError where
    memory does not suffice for a single sequence, TypeError for texts that are no strings.
    """
    from unrote.corpus.extras import require  # noqa: PLC0415
    from unrote.corpus.texts import text_list  # noqa: PLC0415 (loads Arrow)

    listed = text_list(texts)
    require("score", "Scoring what a model would memorize")
    from unrote.memorization.model import load  # noqa: PLC0415 (loads torch)
    from unrote.memorization.scorer import Scorer  # noqa: PLC0415

    first, second = (
        load(one, device, precision) if isinstance(one, str) else one for one in (model, comparison)
    )
    assert first is not None
    scorer = Scorer(first, config or Config(), second)
    if not progress:
        return scorer.table(listed)
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("score", total=None)
        return scorer.table(
            listed, lambda done, total: bar.update(task, completed=done, total=total)
        )
