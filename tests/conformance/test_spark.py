"""Spark: on this machine's cores, and on a cluster with two executors."""

import json

import pytest
from pyspark.sql import SparkSession

from tests.conformance.observed import EventLog
from tests.conformance.suite import Case, SpreadSuite, covering, require_the_same_in_blocks
from tests.java import brief_java
from unrote.pipelines.engines.spark import SparkEngine

QUICK_JAVA = {
    "spark.driver.extraJavaOptions": brief_java(),
    "spark.executor.extraJavaOptions": brief_java(),
    "spark.sql.codegen.wholeStage": "false",
}
"""Java that spends no time on becoming faster than these small jobs need it to be."""

CLUSTER = "local-cluster[2,1,1024]"
"""A standalone cluster of Spark's with two workers, one core each, in processes of their own."""


def spark_settings(master: str, conf: dict[str, str]) -> tuple[str, ...]:
    table = ", ".join(f"{json.dumps(name)} = {json.dumps(value)}" for name, value in conf.items())
    return (
        "engine.name=spark",
        f'engine.spark.master="{master}"',
        f"engine.spark.conf={{{table}}}",
    )


class SparkSuite(SpreadSuite):
    master: str

    @pytest.fixture(scope="class")
    def log(self, tmp_path_factory):
        return EventLog(tmp_path_factory.mktemp("events"))

    @pytest.fixture(scope="class")
    def engine(self, log):
        """A session that all runs of the class share: to start one takes seconds."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SparkEngine, "close", lambda engine: None)
            yield spark_settings(self.master, QUICK_JAVA | log.settings)
        if session := SparkSession.getActiveSession():
            session.stop()

    @pytest.fixture(scope="class")
    def observing(self, log):
        return log.phases


class TestSpark(SparkSuite):
    master = "local[2]"

    @classmethod
    def chosen(cls):
        return covering(1)

    @pytest.mark.long  # Beam has it in `make test`
    def test_a_night_with_an_index(self, corpus, engine, tmp_path):
        self.require_the_same_night(corpus, engine, tmp_path)

    @pytest.mark.long  # the local engine has it in `make test`
    def test_the_selection_in_blocks(self, corpus, engine, tmp_path):
        require_the_same_in_blocks(corpus, tmp_path, *engine)


class TestSparkCluster(SparkSuite):
    master = CLUSTER
    whole_only = ("test_little_is_collected",)

    @classmethod
    def chosen(cls):
        return [Case("defaults", 3, "500")]
