"""unrote in a Beam pipeline of your own, on any runner.

>>> import apache_beam as beam
>>> import unrote.beam
>>> with beam.Pipeline() as pipeline:  # doctest: +SKIP
...     rows = pipeline | beam.io.ReadFromParquet("corpus/*.parquet")
...     once = rows | unrote.beam.ExactDuplicates()
...     once.kept | unrote.beam.Scrub(key=key) | beam.io.WriteToJson("clean")

An element is a row: a dict with the text and an id in two of its fields. `Scrub`, `Score` and
`ExactDuplicates` are PTransforms. Near-duplicates and passages take as many rounds as the rows
need, which a pipeline cannot know when it is made: `near_duplicates` and `passages` are calls that
run pipelines of their own over files.

Workers need unrote as this machine has it (docs/engines.md).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from unrote.corpus.errors import InputError
from unrote.corpus.normalization import NFC, Normalization
from unrote.dedup.fingerprint import Normalise, fingerprints, normalise_level
from unrote.memorization.config import Config as ScoreConfig
from unrote.memorization.config import Models
from unrote.pii.config import Action, Config
from unrote.pii.keys import Key
from unrote.pipelines.api import Options, Path, clean, deduplication_alone, settings_from
from unrote.pipelines.batches import Scoring, Scrubbing
from unrote.pipelines.config import BeamSettings, Settings
from unrote.pipelines.engines.failures import guarded
from unrote.pipelines.finished import FinishedRun
from unrote.pipelines.progress import Progress

# isort: split
import unrote.pipelines.engines.beam  # noqa: F401 - which says in a line that Beam is missing

# isort: split
import apache_beam as beam

__all__ = ["ExactDuplicates", "Score", "Scrub", "near_duplicates", "passages"]

Row = dict[str, Any]

BATCH = 256
"""At most so many rows are looked at together."""


class Scrub(beam.PTransform):  # type: ignore[misc]
    """Rows with personal data and secrets in their text replaced.

    text, id: the fields with the text, a string or None, and with what decides how far dates are
    shifted. key, config, actions: as for `unrote.scrub`; without a key one is made now.

    A row has two more fields: `findings`, a list of dicts (start, end, type, score, action, origin,
    stands_for, fingerprint, surrogate_fingerprint), and `rejected`: why a text is not to be
    released, which is then None; None where it is.
    Raises ConfigError and ValueError as `unrote.scrub` does. A row that lacks a field ends the
    pipeline.
    """

    def __init__(
        self,
        text: str = "text",
        id: str = "id",
        *,
        key: Key | str | bytes | None = None,
        config: Config | None = None,
        actions: Mapping[str, Action] | None = None,
    ) -> None:
        super().__init__()
        self._step = _Scrub(Scrubbing.of(key, config, actions), text, id)

    def expand(self, rows: Any) -> Any:
        """A PCollection of rows to one of as many."""
        batches = rows | beam.BatchElements(max_batch_size=BATCH)
        return batches | beam.ParDo(self._step).with_output_types(Row)


class Score(beam.PTransform):  # type: ignore[misc]
    """The sequences of rows and their measures: a dict for each, with the row's id and the columns
    of `unrote.memorization.scorer.SCORES` but `doc`. A text that is None has none.

    model, comparison, device, precision: as for `unrote.score`; models by name, which the workers
    have to have. Raises ConfigError.
    """

    def __init__(
        self,
        text: str = "text",
        id: str = "id",
        *,
        model: str = "default",
        comparison: str = "",
        config: ScoreConfig | None = None,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        super().__init__()
        models = Models(model, comparison, device, precision, config or ScoreConfig())
        self._step = _Score(Scoring(models), text, id)

    def expand(self, rows: Any) -> Any:
        """A PCollection of rows to one of sequences."""
        batches = rows | beam.BatchElements(max_batch_size=BATCH)
        return batches | beam.ParDo(self._step).with_output_types(Row)


class Deduplicated(NamedTuple):
    """Two PCollections: rows, and dicts of the id of a row that is not among them and of its twin,
    the id of the row that stays.
    """

    kept: Any
    removed: Any


class ExactDuplicates(beam.PTransform):  # type: ignore[misc]
    """Rows with the same normalised text: the one with the smallest id stays.

    normalise: "none", "whitespace" or "case", as dedup.exact.normalise. normalization: the Unicode
    form, as input.normalization.

    Gives `kept` and `removed` (Deduplicated). Ids have to be of one type that can be compared; of
    two rows with the same id and text one stays. A row whose text is None stays.
    Raises ValueError.
    """

    def __init__(
        self,
        text: str = "text",
        id: str = "id",
        *,
        normalise: Normalise = "whitespace",
        normalization: Normalization = NFC,
    ) -> None:
        super().__init__()
        normalise_level(normalise)
        self._key = _Fingerprint(text, normalise, normalization)
        self._choose = _Choose(id)

    def expand(self, rows: Any) -> Any:
        """A PCollection of rows to two."""
        batches = rows | beam.BatchElements(max_batch_size=BATCH)
        keyed = batches | "key" >> beam.ParDo(self._key).with_outputs("without text", main="keyed")
        grouped = (
            keyed.keyed
            | beam.Map(_as_it_is).with_output_types(tuple[bytes, Row])
            | beam.GroupByKey()
        )
        chosen = grouped | "choose" >> beam.ParDo(self._choose).with_outputs("removed", main="kept")
        return Deduplicated((chosen.kept, keyed["without text"]) | beam.Flatten(), chosen.removed)


def near_duplicates(
    inputs: Path | Sequence[Path],
    out: Path,
    *,
    runner: str = "",
    options: Sequence[str] = (),
    settings: Options = None,
    config: Path | None = None,
    fresh: bool = False,
    progress: Progress | None = None,
) -> FinishedRun:
    """Find exact and near-duplicates in files, by Beam pipelines; nothing is rewritten.

    inputs, out: as for `unrote.clean`. runner, options: Beam's, as engine.beam.runner and
    engine.beam.options; what the pipeline that calls this has may be given here.
    `table("duplicates")` of the run that is returned says which documents are copies of which;
    a pipeline reads it from `out`/tables/duplicates/*.parquet.
    Raises what `unrote.clean` does.
    """
    given = _of_beam(settings_from(settings, config), runner, options)
    alone = deduplication_alone(given, passages=False)
    return clean(inputs, out, settings=alone, fresh=fresh, progress=progress)


def passages(
    inputs: Path | Sequence[Path],
    out: Path,
    *,
    runner: str = "",
    options: Sequence[str] = (),
    settings: Options = None,
    config: Path | None = None,
    fresh: bool = False,
    progress: Progress | None = None,
) -> FinishedRun:
    """Find passages that occur in several places of files, by Beam pipelines; nothing is rewritten.

    `table("spans")` of the run that is returned has them. Whole copies of documents are set aside
    first, as dedup.exact and dedup.near say. The rest as for `near_duplicates`.
    """
    given = _of_beam(settings_from(settings, config), runner, options)
    alone = deduplication_alone(given, passages=True)
    return clean(inputs, out, settings=alone, fresh=fresh, progress=progress)


def _of_beam(given: Settings, runner: str, options: Sequence[str]) -> Settings:
    known = given.engine.beam
    own = BeamSettings(runner=runner or known.runner, options=list(options) or known.options)
    engine = given.engine.model_copy(update={"name": "beam", "beam": own})
    return given.model_copy(update={"engine": engine})


# What runs on the workers


def _as_it_is(element: Any) -> Any:
    return element


def _field_of(batch: list[Row], name: str) -> list[Any]:
    """The values of a field. Raises InputError where a row has none."""
    try:
        return [row[name] for row in batch]
    except KeyError:
        raise InputError(
            f"a row has no field {name!r}. Rows are dicts; name the fields of text and id."
        ) from None


class _Scrub(beam.DoFn):  # type: ignore[misc]
    def __init__(self, scrubbing: Scrubbing, text: str, id: str) -> None:
        self._scrubbing, self._text, self._id = scrubbing, text, id

    def process(self, batch: list[Row]) -> Iterator[Row]:
        yield from guarded(self._scrubbed)(batch)

    def _scrubbed(self, batch: list[Row]) -> Iterator[Row]:
        texts = _field_of(batch, self._text)
        names = [str(name) for name in _field_of(batch, self._id)]
        columns = [column.to_pylist() for column in self._scrubbing(texts, names)]
        for row, text, findings, rejected in zip(batch, *columns, strict=True):
            yield row | {self._text: text, "findings": findings, "rejected": rejected}


class _Score(beam.DoFn):  # type: ignore[misc]
    def __init__(self, scoring: Scoring, text: str, id: str) -> None:
        self._scoring, self._text, self._id = scoring, text, id

    def process(self, batch: list[Row]) -> Iterator[Row]:
        yield from guarded(self._scored)(batch)

    def _scored(self, batch: list[Row]) -> Iterator[Row]:
        ids = _field_of(batch, self._id)
        for row in self._scoring(_field_of(batch, self._text)).to_pylist():
            yield {self._id: ids[row.pop("doc")]} | row


class _Fingerprint(beam.DoFn):  # type: ignore[misc]
    """Rows with the fingerprint of their text as the key; apart from them those without one."""

    def __init__(self, text: str, normalise: Normalise, normalization: Normalization) -> None:
        self._text, self._normalise, self._normalization = text, normalise, normalization

    def process(self, batch: list[Row]) -> Iterator[Any]:
        yield from guarded(self._keyed)(batch)

    def _keyed(self, batch: list[Row]) -> Iterator[Any]:
        texts = _field_of(batch, self._text)
        there = [row for row, text in zip(batch, texts, strict=True) if text is not None]
        keys = fingerprints(
            [text for text in texts if text is not None],
            normalise=self._normalise,
            normalization=self._normalization,
        )
        for key, row in zip(keys, there, strict=True):
            yield key.tobytes(), row
        for row, text in zip(batch, texts, strict=True):
            if text is None:
                yield beam.pvalue.TaggedOutput("without text", row)


class _Choose(beam.DoFn):  # type: ignore[misc]
    """Of rows with one key that with the smallest id, and which it stands for."""

    def __init__(self, id: str) -> None:
        self._id = id

    def process(self, element: tuple[bytes, Iterable[Row]]) -> Iterator[Any]:
        yield from guarded(self._chosen)(element[1])

    def _chosen(self, rows: Iterable[Row]) -> Iterator[Any]:
        first = min(row[self._id] for row in rows)
        kept = False
        for row in rows:  # which a runner reads again where they are too many for its memory
            if row[self._id] == first and not kept:
                kept = True
                yield row
            else:
                removed = {"id": row[self._id], "twin": first}
                yield beam.pvalue.TaggedOutput("removed", removed)
