"""Six tasks in a row, each handed what the one before came to."""

from datetime import UTC, datetime

from orchestrator import DAG, DockerOperator

with DAG("chain", schedule="@once", start_date=datetime(2024, 1, 1, tzinfo=UTC), is_paused_upon_creation=False):
    last = DockerOperator(task_id="link1", script='echo 1 > "$ORCHESTRATOR_RESULT"')
    for number in range(2, 7):
        pulled = f"{{{{ ti.xcom_pull(task_ids='link{number - 1}') }}}}"
        link = DockerOperator(task_id=f"link{number}", script=f'echo $(({pulled} + 1)) > "$ORCHESTRATOR_RESULT"')
        last >> link
        last = link
