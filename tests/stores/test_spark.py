"""Spark, whose input and OUT are in an object store."""

import pytest

from tests.conformance.test_spark import QUICK_JAVA, spark_settings
from tests.stores.server import BUCKET
from tests.stores.test_runs import digests, run


@pytest.mark.long
def test_spark_goes_from_store_to_store(stored, proxy, files, on_disk):
    spark = spark_settings("local[2]", QUICK_JAVA)
    run(stored, f"s3://{BUCKET}/spark", proxy.port, *spark)
    assert digests(files, "spark") == on_disk
