"""Three containers, each told what the one before came to: the first thing to copy."""

from orchestrator import DAG, DockerOperator

with DAG("hello", schedule=None, is_paused_upon_creation=False, tags=["example"]):
    name = DockerOperator(
        task_id="name",
        script="echo world",  # the last line a task prints is its result, a text
    )
    greet = DockerOperator(
        task_id="greet",
        script="echo Hello, {{ ti.xcom_pull(task_ids='name') }}!",
    )
    count = DockerOperator(
        task_id="count",
        command=["python", "-c", "import sys; print(len(sys.argv[1]))", "{{ ti.xcom_pull(task_ids='greet') }}"],
    )

    name >> greet >> count
