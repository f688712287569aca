"""The site's policy over DAGs whose files are sound: what is known before rendering, with the way out."""

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.dagfiles.site_rules import policy_problems
from orchestrator.errors import EngineUnavailableError
from orchestrator.spec.container import Mount, MountType
from orchestrator.spec.dag import ContainerTemplate, DagSpec, Problem, Severity, TaskKind, TaskSpec
from orchestrator.spec.finalize import Site
from orchestrator.spec.policy import Grounds, Policy, violations

HERE = Grounds(project="/srv/project", home="/srv/project/.orchestrator")
SOCKET = Mount(type=MountType.BIND, source="/var/run/docker.sock", target="/s")
INSIDE = Mount(type=MountType.BIND, source="./in", target="/in")


def problems(
    *containers: ContainerTemplate | None,
    policy: Policy | None = None,
    network: str = "bridge",
    grounds: Callable[[], Grounds] = lambda: HERE,
) -> list[Problem]:
    tasks = tuple(
        TaskSpec(
            task_id=f"t{number}", container=each, line=number, kind=TaskKind.CONTAINER if each else TaskKind.EMPTY
        )
        for number, each in enumerate(containers, 1)
    )
    site = Site(network=network, project="/srv/project", root_path="/{}".format)
    dag = DagSpec(dag_id="d", file="d.py", tasks=tasks)
    return list(policy_problems(dag, site, lambda *asked: violations(policy or Policy(), grounds, *asked)))


def asking(**arguments: Any) -> ContainerTemplate:
    return ContainerTemplate(image="x", **arguments)


def test_what_the_site_does_not_allow_breaks_its_file_with_the_line_that_would() -> None:
    first, second, third = problems(asking(privileged=True, pid_mode="host"), None, asking(mounts=(SOCKET, INSIDE)))
    assert (first.rule, first.severity, first.file, first.line) == ("policy", Severity.ERROR, "d.py", 1)
    assert (first.dag_id, first.task_id) == ("d", "t1")
    assert first.text == "DockerOperator 't1': privileged: a privileged container is root on the engine's host"
    assert first.fix.endswith("policy.toml: privileged = true")
    assert second.fix.endswith('policy.toml: host_namespaces = ["pid"]')
    assert third.line == 3
    assert third.fix.endswith('policy.toml: host_paths = ["/var/run/docker.sock"]')


def test_what_it_allows_is_none_of_its_problems() -> None:
    policy = Policy(privileged=True, host_namespaces=("pid",), host_paths=("/var/run/docker.sock",))
    assert problems(asking(privileged=True, pid_mode="host", mounts=(SOCKET,)), policy=policy) == []


def test_the_sites_own_network_is_looked_at_where_a_task_names_none() -> None:
    (problem,) = problems(asking(), asking(network="bridge"), network="host")
    assert problem.task_id == "t1"


@pytest.mark.parametrize(
    "arguments",
    [
        {"pid_mode": "{{ params.mode }}"},
        {"mounts": (Mount(type=MountType.BIND, source="{{ params.path }}", target="/s"),)},
        {"mounts": (Mount(type=MountType.ROOT, source="flights", target="/s"),)},
    ],
)
def test_what_only_a_rendering_or_the_engine_can_tell_is_left_to_the_launch(arguments: dict[str, Any]) -> None:
    assert problems(asking(**arguments)) == []


def test_without_an_engine_what_needs_none_is_told_all_the_same() -> None:
    def away() -> Grounds:
        raise EngineUnavailableError("no engine")

    (problem,) = problems(asking(privileged=True, mounts=(INSIDE,)), asking(mounts=(INSIDE,)), grounds=away)
    assert problem.task_id == "t1"


def test_an_image_that_the_site_does_not_list_is_told_and_one_that_is_a_template_is_not() -> None:
    (problem,) = problems(
        ContainerTemplate(image="other:1"),
        ContainerTemplate(image="x"),
        ContainerTemplate(image="{{ params.i }}"),
        ContainerTemplate(),
        policy=Policy(images=("x",)),
    )
    assert (problem.task_id, problem.text) == ("t1", "DockerOperator 't1': image: 'other:1' is not allowed")
