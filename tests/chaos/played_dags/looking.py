"""The sensor that is interrupted: its third look finds. In each it appends where it runs to a file of its data root
(a look too many would show); in the second it waits at a gate until the test opens it."""

from datetime import UTC, datetime

from orchestrator import DAG, DockerSensor, Mount

LOOK = r"""
echo "$HOSTNAME" >> /data/victim
n=$(wc -l < /data/victim)
seq -f "look $n line %.0f" 1 300
if [ "$n" = 2 ]; then mkfifo /tmp/gate1; echo gate 1; : < /tmp/gate1; fi
printf 'no newline at the end of %s' "$n"
[ "$n" -ge 3 ] || exit 75
printf '{"looks": %s}' "$n" > "$ORCHESTRATOR_RESULT"
"""

with DAG("looking", schedule="@once", start_date=datetime(2024, 1, 1, tzinfo=UTC), is_paused_upon_creation=False):
    victim = DockerSensor(
        task_id="victim",
        script=LOOK,
        poke_interval=1,
        mounts=[Mount.root("runs", "/data")],
        tmpfs=["/tmp"],
        stop_grace=1,
    )
