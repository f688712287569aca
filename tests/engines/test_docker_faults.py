import msgspec
import pytest

from orchestrator.engines.docker import faults
from orchestrator.engines.docker.client import Reply
from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.errors import (
    ContainerRunningError,
    EngineError,
    EngineUnavailableError,
    LaunchRefusedError,
    NameTakenError,
    NoSuchContainerError,
    NoSuchFileError,
)
from orchestrator.ids import DEPLOYMENT_LABEL, ContainerId, DeploymentId
from orchestrator.spec.container import ContainerSpec, Mount, MountType
from orchestrator.states import ReasonCode

OURS = ContainerId("a" * 64)


def reply(status: int, message: str) -> Reply:
    return Reply(status=status, body=msgspec.json.encode({"message": message}))


@pytest.mark.engine
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"image": "never/built:1"}, ReasonCode.IMAGE_MISSING),
        ({"image": "sha256:" + "0" * 64}, ReasonCode.IMAGE_MISSING),
        ({"platform": "linux/s390x"}, ReasonCode.PLATFORM_MISMATCH),
        (
            {"mounts": (Mount(type=MountType.BIND, source="/never/made", target="/d"),)},
            ReasonCode.MOUNT_MISSING,
        ),
        ({"network": "never-made"}, ReasonCode.NETWORK_MISSING),
        ({"command": ("never-installed",)}, ReasonCode.COMMAND_MISSING),
        ({"command": ("/never/installed",)}, ReasonCode.COMMAND_MISSING),
        ({"command": ("/etc/passwd",)}, ReasonCode.COMMAND_MISSING),
        ({"entrypoint": ("/etc",)}, ReasonCode.COMMAND_MISSING),
        ({"cpus": 10_000.0}, ReasonCode.CREATE_REFUSED),
        ({"memory": 1000}, ReasonCode.CREATE_REFUSED),
        ({"user": "nobody-has-this-name"}, ReasonCode.CREATE_REFUSED),
        ({"working_dir": "not/absolute"}, ReasonCode.CREATE_REFUSED),
        ({"cap_add": ("NO_SUCH",)}, ReasonCode.CREATE_REFUSED),
        ({"tmpfs": {"/t": "size=lots"}}, ReasonCode.CREATE_REFUSED),
        ({"network": "container:never-made"}, ReasonCode.CREATE_REFUSED),
    ],
)
def test_the_engine_says_what_the_table_expects(
    docker_engine: DockerEngine,
    engine_deployment: DeploymentId,
    base_image: str,
    changes: dict[str, object],
    code: ReasonCode,
) -> None:
    fields: dict[str, object] = {"image": base_image, "command": ("true",), "network": "none", **changes}
    spec = msgspec.convert(
        {
            "name": f"orc-{engine_deployment}",
            "image_name": "x",
            "labels": {DEPLOYMENT_LABEL: engine_deployment},
            **msgspec.to_builtins(fields),
        },
        ContainerSpec,
    )
    with pytest.raises(LaunchRefusedError) as refusal:
        launch(docker_engine, spec)
    assert refusal.value.code == code, refusal.value
    helped = {"cpus", "memory", "user"} & changes.keys()
    assert bool(refusal.value.fix) == (code != ReasonCode.CREATE_REFUSED or bool(helped))
    assert "OCI runtime" not in refusal.value.message or code == ReasonCode.CREATE_REFUSED


def launch(engine: DockerEngine, spec: ContainerSpec) -> None:
    """Create and start; whatever comes, the container is gone afterwards."""
    container = engine.create(spec)
    try:
        engine.start(container)
    finally:
        engine.remove(container, force=True)


def test_what_no_row_matches_keeps_the_engines_words_and_is_not_infrastructure() -> None:
    error = faults.refused_launch(reply(500, "invalid storage option"), OURS)
    assert isinstance(error, LaunchRefusedError)
    assert (error.code, error.message) == (ReasonCode.CREATE_REFUSED, "invalid storage option")


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_proxy_that_misses_the_engine_means_unavailable(status: int) -> None:
    for error in (
        faults.refused_launch(Reply(status=status, body=b"<html>")),
        faults.refused(Reply(status=status, body=b"<html>")),
    ):
        assert isinstance(error, EngineUnavailableError)


def test_another_container_that_is_missing_is_not_ours_that_is_gone() -> None:
    assert isinstance(faults.refused_launch(reply(404, f"No such container: {OURS}"), OURS), NoSuchContainerError)
    other = faults.refused_launch(reply(404, f"No such container: {'b' * 64}"), OURS)
    assert isinstance(other, LaunchRefusedError)


@pytest.mark.parametrize(
    "sentence",
    [
        'Conflict. The container name "/orc-x" is already in use by container "0123456789abcdef". You have to',
        'creating container storage: the container name "orc-x" is already in use by 0123456789abcdef. You have',
    ],
)
def test_a_taken_name_tells_who_holds_it(sentence: str) -> None:
    error = faults.refused_create(reply(409, sentence), "orc-x")
    assert isinstance(error, NameTakenError)
    assert (error.name, error.holder) == ("orc-x", "0123456789abcdef")


def test_other_refusals() -> None:
    for sentence in ("You cannot remove a running container x", "cannot remove container: container is running"):
        assert isinstance(faults.refused_remove(reply(409, sentence)), ContainerRunningError)
    missing = reply(404, "Could not find the file /x in container y")
    assert isinstance(faults.refused_file(missing), NoSuchFileError)
    gone = reply(404, "No such container: x")
    for error in (faults.refused_file(gone), faults.refused_remove(gone), faults.refused(gone)):
        assert isinstance(error, NoSuchContainerError)
    plain = faults.refused(Reply(status=500, body=b"no json"))
    assert type(plain) is EngineError
    assert plain.message == "the engine answered 500: no json"
