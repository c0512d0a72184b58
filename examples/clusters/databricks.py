# Databricks notebook source
# Its calls were tried with Spark 4.3 on one machine, and nothing on Databricks. The compute has the access mode
# "dedicated": shared and serverless compute is Spark Connect, which has no SparkContext and is refused. Its runtime
# has Python 3.11 or newer.

# COMMAND ----------
# MAGIC %pip install 'unrote[pii,score,s3]'

# COMMAND ----------
import unrote.spark

rows = spark.read.table(source)  # noqa: F821 - of the notebook, as is `source`
cleaned = unrote.spark.clean(
    rows,
    text="text",
    id="id",
    scratch=scratch,  # noqa: F821 - "s3://bucket/folder", which all machines may write to
)

# COMMAND ----------
cleaned.kept.write.saveAsTable(target)  # noqa: F821
print(cleaned.report.total.documents, "rows,", cleaned.kept.count(), "kept")
