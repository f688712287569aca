"""The DAG that is interrupted. `steady` runs all the while; `victim` is interrupted, at a moment of each test's
own: it has a file to be copied in and an anonymous volume; `after` is handed what the two came to.

A task that is interrupted writes known bytes in three stretches and waits at a gate after each of the first two,
until the test opens it. Every task appends where it runs to a file of the data root: a second run would show."""

from datetime import UTC, datetime

from orchestrator import DAG, DockerOperator, Mount

SCRIPT = r"""
echo "$HOSTNAME" >> "/data/$ORCHESTRATOR_TASK_ID"
mkfifo /tmp/gate1 /tmp/gate2
say() { seq -f "$1 out %.0f für dich" 1 300; seq -f "$1 err %.0f" 1 300 >&2; }
[ -z "$GIVEN" ] || sha256sum < "$GIVEN"
say first; echo gate 1; : < /tmp/gate1
say second; echo gate 2; : < /tmp/gate2
say third; head -c 20000 /dev/zero | tr '\0' x; printf '\nno newline at the end'
printf '{"container": "%s"}' "$HOSTNAME" > "$ORCHESTRATOR_RESULT"
"""

with DAG(
    "chaos",
    schedule="@once",
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    is_paused_upon_creation=False,
    default_args={"mounts": [Mount.root("runs", "/data")], "tmpfs": ["/tmp"], "stop_grace": 1},
):
    steady = DockerOperator(task_id="steady", script=SCRIPT, user="1000:1000")
    victim = DockerOperator(
        task_id="victim",
        script=SCRIPT,
        read_only=True,
        inputs={"/data/given": "copied in before the start\n" * 3000},
        environment={"GIVEN": "/data/given"},
    )
    after = DockerOperator(
        task_id="after",
        script="""
            echo "$HOSTNAME" >> "/data/$ORCHESTRATOR_TASK_ID"
            printf '{"container": "%s", "victim": "%s", "steady": "%s"}' "$HOSTNAME" "$VICTIM" "$STEADY" \
                > "$ORCHESTRATOR_RESULT"
        """,
        environment={
            "VICTIM": "{{ ti.xcom_pull(task_ids='victim')['container'] }}",
            "STEADY": "{{ ti.xcom_pull(task_ids='steady')['container'] }}",
        },
    )
    [steady, victim] >> after
