#!/bin/sh
# Not tried by us. env.tar.gz is an environment with unrote and Python 3.11 or newer, packed by venv-pack or conda-pack
# on the system of the cluster's machines (docs/engines.md); EMR's own Python may be older.
set -eu
aws emr add-steps --cluster-id "$CLUSTER" --steps "$(cat <<STEP
[{
  "Type": "Spark", "Name": "unrote", "ActionOnFailure": "CONTINUE",
  "Args": [
    "--deploy-mode", "cluster",
    "--archives", "s3://lake/env.tar.gz#env",
    "--conf", "spark.yarn.appMasterEnv.PYSPARK_PYTHON=./env/bin/python",
    "--conf", "spark.executorEnv.PYSPARK_PYTHON=./env/bin/python",
    "--conf", "spark.executor.memoryOverhead=10g",
    "s3://lake/spark_submit.py",
    "clean", "s3://lake/corpus", "-o", "s3://lake/cleaned", "--engine", "spark", "--set", "engine.memory=2GiB"
  ]
}]
STEP
)"
