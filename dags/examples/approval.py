"""A model is trained, and deployed when a person has said so, to as many users as that person says."""

from orchestrator import DAG, ApprovalOperator, DockerOperator, Mount, Param

with DAG(
    "approval",
    description="Somebody approves before a model is deployed",
    schedule=None,
    is_paused_upon_creation=True,
    default_args={"mounts": [Mount.root("approval", "/models")]},
    tags=["example"],
):
    train = DockerOperator(
        task_id="train",
        script="""
            echo "model of {{ run_id }}" > /models/candidate.txt
            echo 0.93
        """,
    )
    approve = ApprovalOperator(
        task_id="approve",
        prompt=f"Deploy a model that is right in {train.output} of all cases?",
        params={"percent": Param(10, type="integer", minimum=1, maximum=100, title="Of all users")},
    )
    deploy = DockerOperator(
        task_id="deploy",
        environment={"PERCENT": approve.output["percent"]},
        script='echo "$PERCENT% $(cat /models/candidate.txt)" > /models/deployed.txt',
    )

    train >> approve >> deploy
