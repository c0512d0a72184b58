"""Rows of a program, as files and as they are; and what runs a page's snippets."""

import re
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from tests.command import ROOT

STORY = (
    "The baker of Unterdorf rose at three. By four the ovens were hot, by five the first loaves "
    "lay on the shelf, and by six the street knew it. On Sundays he slept until eight, and the "
    "street waited without complaint, because bread made by a tired baker is a sad thing."
)
NOTICE = (
    "This notice stands below each of the recipes, whoever copied them, and nobody reads it; "
    "still it is kept, because the printer was told that a page without one is never bought."
)

TEXTS = [
    STORY,
    STORY.replace("sad", "sorry"),
    STORY,
    f"Leek soup. Fry two leeks in butter, add a litre of stock.\n{NOTICE}",
    f"Onion soup. Brown six onions slowly, add wine and stock.\n{NOTICE}",
    "Mail jane.roe@acme.org or call +1 415 203 4478 before the 4th of May 2021.",
    "Nothing is to be found here, and nothing is to be replaced.",
    "SSN 536-90-4399 of the applicant.",
]


@pytest.fixture(scope="session")
def rows() -> list[tuple[int, str, str]]:
    """id, text, and a column that is passed on; not in the order of ids."""
    return [(number, text, f"note {number}") for number, text in enumerate(TEXTS)][::-1]


@pytest.fixture(scope="session")
def corpus(rows, tmp_path_factory) -> Path:
    """The rows in a file, in the order of their ids."""
    folder = tmp_path_factory.mktemp("programs") / "in"
    folder.mkdir()
    columns = list(zip(*sorted(rows), strict=True))
    pq.write_table(pa.table(columns, ["id", "text", "note"]), folder / "rows.parquet")
    return folder


@pytest.fixture(scope="session")
def spark():
    """A user's own session, with settings of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        conf = {
            "spark.ui.enabled": "false",
            "spark.driver.host": "localhost",
            "spark.sql.shuffle.partitions": "3",
            "spark.sql.adaptive.enabled": "true",  # whatever a session of another test left
            "spark.sql.codegen.wholeStage": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.log.level": "OFF",
        }
        builder = SparkSession.builder.master("local[2]")
        for name, value in conf.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        yield session
        session.stop()


@pytest.fixture(scope="session")
def frame(spark, rows):
    return spark.createDataFrame(rows, "id long, text string, note string").repartition(2)


def snippets(section: str) -> str:
    """The Python of a section of docs/programs.md."""
    page = (ROOT / "docs" / "programs.md").read_text(encoding="utf-8")
    (part,) = [part for part in page.split("\n## ") if part.startswith(f"{section}\n")]
    return "\n".join(re.findall(r"^```python\n(.*?)^```", part, re.MULTILINE | re.DOTALL))
