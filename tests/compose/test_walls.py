"""In the container: who runs as whom, and what a DAG file reaches."""

import json

import pytest
from deployment import Deployment

pytestmark = pytest.mark.engine

#: What a DAG file gets to see and to do; everything else in `deployed_dags/hostile.py` must end in an error.
HARMLESS = {
    "user": [10002, 10002, 10002],
    "own environment": "",
    "a variable of the C library's": False,
    "root's processes": [],
    "engine's socket": False,
    "reading DAG files": "done",
}
#: The same, tried by the scheduler's own user.
ABLE = (
    "engine", "scheduler's socket", "database", "database's password", "home", "secrets", "task images",
    "scheduler's environment",
    "signals to the first process", "being the scheduler",
)  # fmt: skip
REFUSALS = {"PermissionError", "OperationalError", "OSError"}
WHO = "import os\n\nraise RuntimeError(f'{os.getuid()} of {os.getgroups()}')\n"


def test_a_dag_file_reaches_nothing_but_dag_files(deployed: Deployment) -> None:
    findings = json.loads(deployed.json("dags", "show", "hostile")["spec"]["description"])
    assert {name: findings.pop(name) for name in HARMLESS} == HARMLESS
    assert findings.keys() > {*ABLE, "network"}
    assert set(findings.values()) <= REFUSALS, findings
    assert findings["network"] == findings["engine"] == "PermissionError"


def test_what_it_tries_can_be_done_by_the_scheduler_s_user(deployed: Deployment) -> None:
    """Otherwise its failures would say nothing."""
    findings = tried(deployed, "10001")
    group = deployed.compose("exec", "-T", "scheduler", "stat", "-c", "%g", "/var/run/docker.sock").strip()
    findings |= {name: text for name, text in tried(deployed, f"10001:{group}").items() if "engine" in name}
    assert {name: findings[name] for name in ABLE} == dict.fromkeys(ABLE, "done")
    assert findings["network"] == "ConnectionRefusedError", "there is a network, and nobody at that port"
    assert (findings["engine's socket"], findings["a variable of the C library's"]) == (True, True)
    assert findings["writing DAG files"] == "OSError", "they are mounted read-only for everybody"


def tried(deployed: Deployment, user: str) -> dict[str, object]:
    """What the same program finds as a user who is not enclosed."""
    program = ("python", "-P", "/project/dags/hostile.py")
    found: dict[str, object] = json.loads(deployed.compose("exec", "-T", "--user", user, "scheduler", *program))
    return found


def test_a_command_inside_gives_its_root_up_first(deployed: Deployment) -> None:
    with deployed.dag_file("who.py", WHO):
        checked = deployed.try_compose("exec", "-T", "scheduler", "orchestrator", "dags", "check")
    assert "RuntimeError: 10002 of []" in checked.stdout
    deployed.orchestrator("dags", "test", "hello")
    not_ours = ("find", "/var/lib/orchestrator", "-path", "*/data", "-prune", "-o", "!", "-user", "10001", "-print")
    assert deployed.compose("exec", "-T", "--user", "10001", "scheduler", *not_ours) == ""


def test_the_container_starts_anew_when_its_authoring_processes_are_lost(deployed: Deployment) -> None:
    before = deployed.scheduler.attrs["State"]["StartedAt"]
    kill = "for each in /proc/[0-9]*; do grep -q dagfiles[.]nursery $each/cmdline && kill -9 ${each#/proc/}; done"
    with deployed.starts_of_scheduler() as starts:
        deployed.try_compose("exec", "-T", "--user", "10002", "scheduler", "sh", "-c", kill)
        next(starts)
    deployed.up()
    assert deployed.scheduler.attrs["State"]["StartedAt"] != before
    with deployed.dag_file("who.py", WHO):
        checked = deployed.try_compose("exec", "-T", "scheduler", "orchestrator", "dags", "check")
    assert "RuntimeError: 10002 of []" in checked.stdout


def test_nothing_is_published_and_nobody_else_gets_the_socket(deployed: Deployment) -> None:
    config = json.loads(deployed.compose("config", "--format", "json", files=["docker-compose.yml"]))
    services = config["services"]
    assert sorted(services) == ["migrate", "postgres", "scheduler"]
    assert not [name for name, service in services.items() if service.get("ports")]
    mounted = {name: {each["target"] for each in service["volumes"]} for name, service in services.items()}
    assert [name for name, targets in mounted.items() if "/var/run/docker.sock" in targets] == ["scheduler"]
    on_network = {name: sorted(service["networks"]) for name, service in services.items()}
    assert on_network == {"migrate": ["database"], "postgres": ["database"], "scheduler": ["database", "tasks"]}
    assert config["networks"]["database"]["internal"] is True
    assert config["networks"]["tasks"]["name"] == "orchestrator-tasks"
    assert config["services"]["scheduler"]["environment"]["ORCHESTRATOR__ENGINE__NETWORK"] == "orchestrator-tasks"


def test_the_image_holds_no_docker_command_and_no_compiler(deployed: Deployment) -> None:
    look = "for each in docker gcc git; do command -v $each; done; true"
    assert deployed.compose("exec", "-T", "scheduler", "sh", "-c", look) == ""
