"""Files out of real containers: links, what is no file, names that are no text, and a container that runs."""

from collections.abc import Iterator
from typing import IO

import pytest

from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.ids import DEPLOYMENT_LABEL, KIND_LABEL, ContainerId, DeploymentId
from orchestrator.ports import FoundFile, FoundKind
from orchestrator.spec.container import ContainerSpec, EngineEventKind

pytestmark = pytest.mark.engine

SCRIPT = r"""
mkdir -p /out/real && printf abc > /out/real/a && chmod 750 /out/real/a && ln /out/real/a /out/real/b
ln -s /out/real /out/link && mkfifo /out/real/pipe && printf x > "$(printf '/out/real/\377')"
ln -s a /out/real/soft
"""


@pytest.fixture
def container(
    docker_engine: DockerEngine, engine_deployment: DeploymentId, base_image: str
) -> Iterator[ContainerId]:
    spec = ContainerSpec(
        name=f"orc-{engine_deployment}-files",
        image=base_image,
        image_name=base_image,
        command=("sh", "-ec", SCRIPT),
        labels={DEPLOYMENT_LABEL: engine_deployment, KIND_LABEL: "try"},
        network="none",
    )
    events = docker_engine.events(engine_deployment)
    assert next(events).kind is EngineEventKind.CONNECTED
    made = docker_engine.create(spec)
    docker_engine.start(made)
    end = next(event for event in events if event.kind is EngineEventKind.DIE)
    assert end.exit_code == 0
    yield made
    docker_engine.remove(made)


def found(engine: DockerEngine, container: ContainerId, path: str) -> dict[str, tuple[FoundFile, bytes | None]]:
    seen: dict[str, tuple[FoundFile, bytes | None]] = {}

    def take(file: FoundFile, content: IO[bytes] | None) -> bool:
        seen[file.path] = (file, content.read() if content else None)
        return True

    engine.copy_out(container, path, take)
    return seen


def test_links_are_told_and_only_one_at_the_path_itself_is_followed(
    docker_engine: DockerEngine, container: ContainerId
) -> None:
    seen = found(docker_engine, container, "/out/link")
    first, second = sorted(
        ("/out/link/a", "/out/link/b"), key=lambda path: seen[path][0].kind is not FoundKind.FILE
    )
    assert seen[first] == (FoundFile(path=first, kind=FoundKind.FILE, size=3, mode=0o750), b"abc")
    again, nothing = seen[second]
    assert (again.kind, again.target, nothing) == (FoundKind.HARD_LINK, first, None)
    assert seen["/out/link/soft"][0].kind is FoundKind.OTHER
    assert seen["/out/link/pipe"][0].kind is FoundKind.OTHER
    assert seen["/out/link/\ufffd"][1] == b"x"


def test_below_a_folder_a_link_leads_nowhere(docker_engine: DockerEngine, container: ContainerId) -> None:
    seen = found(docker_engine, container, "/out")
    assert seen["/out/link"][0].kind is FoundKind.OTHER
    assert {path for path in seen if path.startswith("/out/link/")} == set()
    assert seen["/out/real/a"][0].mode == 0o750


def test_of_changes_only_the_innermost_are_told(docker_engine: DockerEngine, container: ContainerId) -> None:
    changed = set(docker_engine.changed_paths(container))
    assert {"/out/real/a", "/out/real/b", "/out/link", "/out/real/soft"} <= changed
    assert not {"/out", "/out/real"} & changed
