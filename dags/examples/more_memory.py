"""A task whose need for memory nobody knows beforehand: it begins with little, and each try has more. What it
needs is then in its tries: the last of them says so."""

from datetime import timedelta

from orchestrator import DAG, DockerOperator

with DAG(
    "more_memory",
    description="Each retry has more memory",
    schedule=None,
    is_paused_upon_creation=True,
    tags=["example"],
):
    DockerOperator(
        task_id="grow",
        command=["python", "-c", "table = b'x' * 60_000_000; print(len(table))"],
        mem_limit="{{ 40 * ti.try_number }}m",
        memswap_limit="{{ 40 * ti.try_number }}m",  # no swap beside it, which would only be slow
        retries=3,
        retry_delay=timedelta(seconds=1),
    )
