"""The program that spark-submit is given; unrote itself comes as a wheel (docs/engines.md).

spark-submit --py-files unrote-0.1.0-….whl spark_submit.py clean IN -o OUT --engine spark
"""

from unrote.pipelines.cli import command

if __name__ == "__main__":
    command()
