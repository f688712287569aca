"""A task that prints without end, until the test opens its gate: when, and which line that is. Its result is larger
than what room a database on a full disk may have left."""

from datetime import UTC, datetime

from orchestrator import DAG, DockerOperator

SCRIPT = r"""
echo gate 1
exec python3 -c '
import os, sys, time
number, said = 0, "x" * 8000
while not os.path.exists("/tmp/gate1"):
    os.write(1, b"%d %d %s\n" % (time.monotonic_ns(), number, said.encode()))
    number += 1
    time.sleep(0.002)
print(number, "lines")
with open(os.environ["ORCHESTRATOR_RESULT"], "w") as result:
    result.write("[%s]" % ", ".join(["7"] * 300_000))
'
"""

with DAG("endless", schedule="@once", start_date=datetime(2024, 1, 1, tzinfo=UTC), is_paused_upon_creation=False):
    DockerOperator(task_id="endless", script=SCRIPT, stop_grace=1, tmpfs=["/tmp"])
