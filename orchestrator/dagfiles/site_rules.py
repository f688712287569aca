"""What a DAG asks for and the site's policy does not allow, told when its file is parsed. Only what needs no
rendering is looked at; at launch everything is, and that look has the last word."""

from collections.abc import Callable, Iterable, Iterator

from msgspec.structs import replace

from orchestrator.dagfiles.checks.book import finding
from orchestrator.errors import EngineError, FinalizeError, PolicyError
from orchestrator.spec.container import Mount
from orchestrator.spec.dag import ContainerTemplate, DagSpec, Problem, TaskSpec
from orchestrator.spec.finalize import Site, check_literals
from orchestrator.spec.marks import has_templates

#: `spec.policy.violations` of a site.
Violations = Callable[[ContainerTemplate, str | None, tuple[Mount, ...]], Iterable[PolicyError]]

POLICY_RULE = "policy"


def policy_problems(dag: DagSpec, site: Site, violations: Violations) -> Iterator[Problem]:
    """An error for each thing that is not allowed; its fix has the line of `policy.toml` that would allow it."""
    for task in dag.tasks:
        for refused in _refused(task, site, violations):
            yield finding(
                POLICY_RULE,
                f"{task.operator} {task.task_id!r}: {refused.message}",
                refused.fix,
                file=dag.file,
                line=task.line,
                dag_id=dag.dag_id,
                task_id=task.task_id,
            )


def _refused(task: TaskSpec, site: Site, violations: Violations) -> list[PolicyError]:
    found: list[PolicyError] = []
    image = task.container.image if task.container else None

    def policy(template: ContainerTemplate, network: str | None, mounts: tuple[Mount, ...]) -> None:
        """The image is the one that is written, and no stand-in for one that is not known yet."""
        written = replace(template, image=None if image and has_templates(image) else image)
        found.extend(violations(written, network, mounts))

    try:
        check_literals(task, replace(site, policy=policy))
    except FinalizeError:
        pass  # the parse itself tells of what cannot be anywhere; what cannot be at this site is told at launch
    except EngineError:
        pass  # in a container, only the engine knows which paths of its host are the project's
    return found
