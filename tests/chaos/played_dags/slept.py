"""Tasks that may take some minutes, each by a rule of its own, and run until they are told to end (USR1). While
their machine sleeps, an hour passes."""

from datetime import UTC, datetime

from orchestrator import DAG, DockerOperator, DockerSensor

WAITS = r"""
import signal, sys
signal.signal(signal.SIGUSR1, lambda *_: sys.exit(0))
print("waits", flush=True)
while True:
    signal.pause()
"""

with DAG(
    "slept",
    schedule="@once",
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    is_paused_upon_creation=False,
    default_args={"command": ["python", "-c", WAITS]},
):
    DockerOperator(task_id="runs", execution_timeout=600, retries=2)
    DockerOperator(task_id="silent", idle_timeout=600, retries=2)
    DockerSensor(task_id="looks", timeout=600)
