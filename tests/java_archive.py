"""`python -m tests.java_archive` keeps the classes that Spark needs for us, for the tests' Javas.

The job has the operators of pipelines/engines/spark.py, and needs nothing of unrote's compiled yet.
"""

import os
import sys
from collections.abc import Iterator

import pyarrow as pa
from pyspark import SparkContext
from pyspark.sql import SparkSession

from tests.java import ARCHIVE, BRIEF


def same(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield from batches


def main() -> None:
    making = ARCHIVE.with_suffix(".making")
    os.environ["SPARK_SUBMIT_OPTS"] = f"{BRIEF} -XX:ArchiveClassesAtExit={making} -Xlog:disable"
    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = SparkSession.builder.master("local[2]").getOrCreate()
    shared = session.sparkContext.broadcast(b"content")
    schema = "task long, payload binary"
    frame = session.createDataFrame([(n % 3, shared.value) for n in range(100)], schema)
    frame = frame.mapInArrow(same, schema).repartition(3, "task").sortWithinPartitions("task")
    frame.mapInArrow(same, schema).select("payload").collect()
    shared.destroy()
    session.stop()
    java = SparkContext._gateway.proc
    java.stdin.close()  # Spark's Java ends with who started it
    java.wait()
    making.replace(ARCHIVE)


if __name__ == "__main__":
    main()
