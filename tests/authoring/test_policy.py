"""What a site lets tasks ask of the engine: a safe default, and the line that widens it."""

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestrator.errors import PolicyError, SettingsError
from orchestrator.settings import read_policy
from orchestrator.spec.container import Mount, MountType
from orchestrator.spec.dag import ContainerTemplate
from orchestrator.spec.policy import Grounds, Policy, enforce

SAFE = Policy()
HERE = Grounds(project="/srv/project", home="/srv/project/.orchestrator")


def check(policy: Policy = SAFE, *, grounds: Grounds = HERE, **arguments: Any) -> None:
    mounts = arguments.pop("mounts", ())
    template = ContainerTemplate(**arguments)
    enforce(policy, lambda: grounds, template, template.network, mounts)


def bind(source: str) -> tuple[Mount, ...]:
    return (Mount(type=MountType.BIND, source=source, target="/d"),)


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"privileged": True}, "privileged", "privileged = true"),
    ({"network": "host"}, "network_mode", 'host_namespaces = ["network"]'),
    ({"network": "container:x"}, "network_mode", 'host_namespaces = ["network"]'),
    ({"pid_mode": "host"}, "pid_mode", 'host_namespaces = ["pid"]'),
    ({"ipc_mode": "host"}, "ipc_mode", 'host_namespaces = ["ipc"]'),
    ({"userns_mode": "host"}, "userns_mode", 'host_namespaces = ["userns"]'),
    ({"devices": ("/dev/sda:/dev/x",)}, "devices", 'devices = ["/dev/sda"]'),
    ({"cap_add": ("CAP_sys_admin",)}, "cap_add", 'capabilities = ["SYS_ADMIN"]'),
    ({"cap_add": ("ALL",)}, "cap_add", 'capabilities = ["ALL"]'),
    (
        {"security_opt": ("seccomp=unconfined",)},
        "security_opt",
        'security_options = ["label=*", "seccomp=unconfined"]',
    ),
    (
        {"security_opt": ("no-new-privileges:false",)},
        "security_opt",
        'security_options = ["label=*", "no-new-privileges=false"]',
    ),
    ({"mounts": bind("/etc")}, "mounts['/d'].source", 'host_paths = ["/etc"]'),
    ({"mounts": bind("/srv/projects")}, "mounts['/d'].source", 'host_paths = ["/srv/projects"]'),
    ({"mounts": bind("/var/run/docker.sock")}, "mounts['/d'].source", 'host_paths = ["/var/run/docker.sock"]'),
    ({"mounts": bind("/srv/project/.orchestrator/orchestrator.db")}, "mounts['/d'].source", "orchestrator.db"),
    ({"mounts": bind("/srv/project")}, "mounts['/d'].source", 'host_paths = ["/srv/project"]'),
    (
        {"mounts": (Mount(source="v", target="/d", driver_options={"o": "bind", "device": "/etc"}),)},
        "mounts['/d'].source",
        'host_paths = ["/etc"]',
    ),
]


@pytest.mark.parametrize(("arguments", "field", "line"), REFUSED)
def test_what_makes_a_task_root_of_the_host_is_refused(arguments: dict[str, Any], field: str, line: str) -> None:
    with pytest.raises(PolicyError) as refused:
        check(**arguments)
    assert refused.value.field == field
    assert line in refused.value.line
    assert refused.value.fix.endswith(f"policy.toml: {refused.value.line}")


@pytest.mark.parametrize(("arguments", "field", "line"), REFUSED)
def test_the_line_that_is_told_allows_it(arguments: dict[str, Any], field: str, line: str) -> None:
    with pytest.raises(PolicyError) as refused:
        check(**arguments)
    check(msgspec.convert(tomllib.loads(refused.value.line), Policy), **arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"network": "bridge", "pid_mode": "", "ipc_mode": "private"},
        {"cap_add": ("NET_ADMIN", "CAP_SYS_PTRACE"), "cap_drop": ("ALL",)},
        {"security_opt": ("no-new-privileges", "label=type:x", "label:disable")},
        {
            "mounts": (
                *bind("/srv/project/dags"),
                Mount(source="v", target="/v"),
                Mount(type=MountType.TMPFS, target="/t"),
            )
        },
        {"mounts": (Mount(source="v", target="/v", driver_options={"type": "tmpfs", "device": "tmpfs"}),)},
    ],
)
def test_what_harms_nobody_is_allowed(arguments: dict[str, Any]) -> None:
    check(**arguments)


@pytest.mark.parametrize("image", [None, "etl", "python:3.13-slim"])
def test_images_that_a_site_lists_are_allowed_and_its_default_one(image: str | None) -> None:
    check(msgspec.structs.replace(SAFE, images=("python:*", "etl")), image=image)


def test_an_image_that_a_site_does_not_list_is_refused_with_the_line_that_allows_it() -> None:
    policy = msgspec.structs.replace(SAFE, images=("python:*",))
    with pytest.raises(PolicyError) as refused:
        check(policy, image="docker.io/library/python:3.13")
    assert refused.value.message == "image: 'docker.io/library/python:3.13' is not allowed"
    assert 'images = ["python:*", "docker.io/library/python:3.13"]' in refused.value.fix


def test_a_folder_that_is_allowed_is_so_with_all_that_is_in_it_but_a_socket() -> None:
    policy = Policy(host_paths=("/var", "/data"))
    check(policy, mounts=bind("/data/in"))
    check(policy, mounts=bind("/var/lib/x"))
    for path in ("/var/run/docker.sock", "/var/run", "/"):
        with pytest.raises(PolicyError, match="socket"):
            check(policy, mounts=bind(path))


def test_where_the_engine_has_no_project_no_path_of_its_host_is_the_projects() -> None:
    with pytest.raises(PolicyError, match="outside the project"):
        check(grounds=Grounds(project=None, home=None), mounts=bind("/srv/project/dags"))


def test_the_engine_is_not_asked_for_its_paths_where_none_is_mounted() -> None:
    def never() -> Grounds:
        raise AssertionError

    enforce(Policy(), never, ContainerTemplate(), "bridge", (Mount(source="v", target="/v"),))


def test_a_policy_is_read_from_its_file_and_is_safe_without_one(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    assert read_policy(file) == Policy()
    file.write_text('devices = ["/dev/nvidia*"]\n')
    check(read_policy(file), devices=("/dev/nvidia0",))
    for wrong in ("privilege = true", "privileged = 1", "devices = "):
        file.write_text(wrong)
        with pytest.raises(SettingsError, match=r"policy\.toml") as refused:
            read_policy(file)
        assert "host_namespaces" in refused.value.fix
