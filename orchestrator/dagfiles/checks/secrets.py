"""Rules over secrets: none stands in a file, and none where everybody who may see a container sees it."""

from collections.abc import Iterator

from orchestrator.dagfiles.checks.checked import Checked
from orchestrator.dagfiles.secret_signs import literal_secrets
from orchestrator.spec.dag import ContainerTemplate, Problem
from orchestrator.templating.stored import may_hold_secrets


def literal_secret(checked: Checked) -> Iterator[Problem]:
    for task in checked.dag.tasks:
        found = literal_secrets(task.container or ContainerTemplate(), iter(checked.texts_of[task.task_id]))
        for field, what in dict.fromkeys(found):
            text = f"{field}: {what} stands in the file, and is stored and shown with the DAG"
            fix = 'keep it where secrets are kept, and write secrets=[Secret("id", env="NAME")]'
            yield checked.found("literal_secret", task, text, fix)


def secret_in_command(checked: Checked) -> Iterator[Problem]:
    for task, template in checked.templates():
        if may_hold_secrets(template.field):
            continue
        for name in template.secret_names():
            text = f"{template.field}: {name} is secret, and everybody who may see the container sees it here"
            fix = 'give it to the task itself: secrets=[Secret("id", env="NAME")], connections=["id"], or inputs='
            yield checked.found("secret_in_command", task, text, fix)
