"""Every night with Airflow 3: clean, hold against the policy, and branch on the verdict.

unrote's exit status decides: 0 goes on to training, 1 to whoever looks at refused corpora; 2 fails
for good; 3 and 4 are tried again, and a run continues where it stopped.
"""

import subprocess
from datetime import datetime, timedelta

from airflow.exceptions import AirflowException, AirflowFailException
from airflow.sdk import dag, task

FOLDER = "/data"


def unrote(*args: str) -> int:
    """Run the command; its exit status, where that is a verdict. Raises for the others."""
    status = subprocess.run(["unrote", *args], check=False).returncode
    if status in (0, 1):
        return status
    if status == 2:
        raise AirflowFailException("unrote could not start; the log says why")
    raise AirflowException(f"unrote ended with status {status}")


@dag(
    schedule="30 2 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
)
def nightly():
    @task
    def clean(ds: str) -> str:
        out = f"{FOLDER}/out/{ds}"
        unrote("clean", f"{FOLDER}/in/{ds}", "-o", out, "-c", f"{FOLDER}/unrote.toml")
        return out

    @task.branch
    def gate(out: str) -> str:
        policy = f"{FOLDER}/policy.toml"
        status = unrote("gate", f"{out}/data", "--policy", policy, "-o", f"{out}-gate")
        return "train" if status == 0 else "look"

    @task
    def train(out: str) -> None:
        print(f"train on {out}/data")

    @task
    def look(out: str) -> None:
        print(f"refused: see {out}-gate/report.html")

    out = clean()
    gate(out) >> [train(out), look(out)]


nightly()
