"""What a trial run found, and how a terminal shows it."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from unrote.corpus import display
from unrote.pipelines.report.formatting import count, duration

FOLDER = "trial"
"""Where in OUT a trial run's files are."""

SHOWN = 10

CAUTION = (
    "What a small model recites a larger one recites too, nearly always (precision .96, Biderman "
    "2304.11158). What it does not recite says little (recall .20): no clean bill."
)


@dataclass(frozen=True)
class Trial:
    """What came of a trial run. `expected_*` are sums of the risk over the asked sequences, and
    over all of the corpus, as it was and as it is refitted.
    """

    seed: int
    parameters: int
    documents: int
    documents_trained: int
    tokens_trained: int
    training_seconds: float
    loss: float
    asked: int
    recited: int
    expected_asked: float
    expected_asked_refitted: float
    expected_corpus: float
    expected_corpus_refitted: float


def print_trial(trial: Trial, out: str, console: Console | None = None) -> None:
    """Print the outcome, and where the sequences are that were recited. `out` is the folder."""
    console = console or Console(highlight=False, markup=False, emoji=False)
    say = console.print
    say(
        f"A model of {trial.parameters / 1e6:.1f} million parameters, trained for "
        f"{duration(trial.training_seconds)} on {count(trial.documents_trained)} of "
        f"{count(trial.documents)} documents, recites {count(trial.recited)} of "
        f"{count(trial.asked)} sequences.",
        style="bold",
        soft_wrap=True,
    )
    say(
        f"Expected of these: {trial.expected_asked:,.1f}, refitted "
        f"{trial.expected_asked_refitted:,.1f}; of the corpus: {trial.expected_corpus:,.1f}, "
        f"refitted {trial.expected_corpus_refitted:,.1f}.",
        soft_wrap=True,
    )
    if trial.recited:
        say(_recited(Path(out)))
    say(CAUTION, style="dim", soft_wrap=True)
    say(f"Sequences: {display.line(Path(out) / FOLDER / 'sequences.parquet')}", soft_wrap=True)
    calibration = display.line(Path(out) / FOLDER / "risk.json")
    say(f"Use it: --set memorization.calibration={calibration}", soft_wrap=True)


def _recited(out: Path) -> Table:
    rows = pq.read_table(out / FOLDER / "sequences.parquet").slice(0, SHOWN).to_pylist()
    table = Table("document", "from", "to", "copies", "risk", box=SIMPLE_HEAD)
    for row in rows:
        if row["recited"]:
            places = (str(row["doc"]), count(row["start"]), count(row["end"]))
            table.add_row(*places, count(row["copies"]), f"{row['risk_refitted']:.2f}")
    return table
