"""What a proxy run found, and how a terminal shows it."""

from dataclasses import dataclass

import pyarrow.parquet as pq
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from unrote.corpus import display
from unrote.pipelines.report.formatting import count, duration
from unrote.pipelines.storage import Location, location, source

FOLDER = "proxy"
"""Where in OUT a proxy run's files are."""

SHOWN = 10

CAUTION = (
    "What is extractable from a small model is extractable from a larger one too, nearly always "
    "(precision .96, Biderman 2304.11158). What is not says little (recall .20): no clean bill."
)


@dataclass(frozen=True)
class ProxyReport:
    """What came of a proxy run. prompted: sequences whose prefixes the model was given; extracted:
    those that it continued with their suffixes. expected_*: sums of the risk over these sequences,
    and over all of the corpus, as it was and recalibrated.
    """

    seed: int
    parameters: int
    documents: int
    documents_trained: int
    tokens_trained: int
    training_seconds: float
    loss: float
    prompted: int
    extracted: int
    expected_extracted: float
    expected_extracted_recalibrated: float
    expected_extracted_corpus: float
    expected_extracted_corpus_recalibrated: float


def print_proxy(found: ProxyReport, out: str, console: Console | None = None) -> None:
    """Print the outcome, and where the extracted sequences are. `out` is the folder."""
    console = console or Console(highlight=False, markup=False, emoji=False)
    say = console.print
    say(
        f"A model of {found.parameters / 1e6:.1f} million parameters, trained for "
        f"{duration(found.training_seconds)} on {count(found.documents_trained)} of "
        f"{count(found.documents)} documents: {count(found.extracted)} of "
        f"{count(found.prompted)} sequences are extractable.",
        style="bold",
        soft_wrap=True,
    )
    say(
        f"Expected of these: {found.expected_extracted:,.1f}, recalibrated "
        f"{found.expected_extracted_recalibrated:,.1f}; of the corpus: "
        f"{found.expected_extracted_corpus:,.1f}, recalibrated "
        f"{found.expected_extracted_corpus_recalibrated:,.1f}.",
        soft_wrap=True,
    )
    if found.extracted:
        say(_extracted(location(out)))
    say(CAUTION, style="dim", soft_wrap=True)
    say(f"Sequences: {display.line(location(out) / FOLDER / 'sequences.parquet')}", soft_wrap=True)
    calibration = display.line(location(out) / FOLDER / "risk.json")
    say(f"Use it: --set memorization.calibration={calibration}", soft_wrap=True)


def _extracted(out: Location) -> Table:
    rows = pq.read_table(source(out / FOLDER / "sequences.parquet")).slice(0, SHOWN).to_pylist()
    table = Table("document", "start", "end", "copies", "recalibrated risk", box=SIMPLE_HEAD)
    for row in rows:
        if row["extractable"]:
            offsets = (str(row["doc"]), count(row["start"]), count(row["end"]))
            table.add_row(*offsets, count(row["copies"]), f"{row['risk_recalibrated']:.2f}")
    return table
