"""One task that says where it stands and waits to be let on."""

from orchestrator import DAG, DockerOperator, Mount

with DAG("gated", schedule=None, is_paused_upon_creation=False):
    DockerOperator(
        task_id="wait",
        script="mkfifo /tmp/gate; echo at the gate; cat /tmp/gate; echo through > /results/gated; echo through",
        mounts=[Mount.root("results", "/results")],
    )
