#!/bin/sh
# Not tried by us. env.tar.gz as for EMR, with gcsfs in it; the lease of OUT needs a bucket, which refuses overwriting
# when it is asked to.
set -eu
gcloud dataproc jobs submit pyspark gs://lake/spark_submit.py \
  --cluster="$CLUSTER" --region="$REGION" \
  --archives=gs://lake/env.tar.gz#env \
  --properties=spark.submit.deployMode=cluster,spark.pyspark.python=./env/bin/python,spark.executor.memoryOverhead=10g \
  -- clean gs://lake/corpus -o gs://lake/cleaned --engine spark --set engine.memory=2GiB
