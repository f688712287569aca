"""Tasks that run, counting, until they are told to end well (USR1: they hand on how far they counted) or badly
(USR2); to an engine that stops they say 0. They differ in whether they may run again."""

from datetime import UTC, datetime

from orchestrator import DAG, DockerOperator

COUNTS = r"""
import os, signal, sys, time

def well(*_):
    with open(os.environ["ORCHESTRATOR_RESULT"], "w") as result:
        result.write(str(number))
    sys.exit(0)

signal.signal(signal.SIGUSR1, well)
signal.signal(signal.SIGUSR2, lambda *_: sys.exit(3))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
number = 0
while True:
    number += 1
    print(f"count {number}.", flush=True)
    time.sleep(0.05)
"""

with DAG(
    "restarted",
    schedule="@once",
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    is_paused_upon_creation=False,
    default_args={"command": ["python", "-c", COUNTS], "stop_grace": 2, "retry_delay": 0},
):
    DockerOperator(task_id="once")
    DockerOperator(task_id="again", retries=2)
    DockerOperator(task_id="lost", rerun_lost=True)
    DockerOperator(task_id="well")
    DockerOperator(task_id="badly")
