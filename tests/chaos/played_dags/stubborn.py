"""Tasks that do not heed TERM, each in its own way, and one that does. All stand at their gate 1 until they are
killed; a second try ends at once, in peace."""

from datetime import UTC, datetime, timedelta

from orchestrator import DAG, DockerOperator

SCRIPT = r"""
[ "$ORCHESTRATOR_TRY_NUMBER" = 1 ] || exit 0
exec python3 -c '
import os, signal, sys, time

manner = sys.argv[1]
if manner != "heeds":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if manner == "forks":
    for _ in range(3):
        if not os.fork():
            os.setsid()
            if not os.fork():  # a grandchild, in a session that is not its first process
                os.setpgid(0, 0)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(3600)
os.write(1, b"gate 1\n")
number = 0
while True:
    if manner == "prints":
        os.write(1, b"%d %s\n" % (number, b"x" * 8000))
        number += 1
    time.sleep(0.002 if manner == "prints" else 3600)
' "$ORCHESTRATOR_TASK_ID"
"""

with DAG(
    "stubborn",
    schedule="@once",
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    is_paused_upon_creation=False,
    default_args={"stop_grace": 2, "script": SCRIPT},
):
    for name in ("heeds", "deaf", "forks", "prints", "frozen", "failed", "success", "cleared"):
        DockerOperator(task_id=name)
    DockerOperator(task_id="limited", execution_timeout=timedelta(seconds=2))
