"""A project with task images of its own, and their removal from the engine afterwards."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import docker.errors
import pytest
from registries import Registry, need_registry_program

from orchestrator.clock import SystemClock
from orchestrator.engines.docker.address import Address
from orchestrator.ids import DeploymentId
from orchestrator.images.builder import NAME_LABEL
from orchestrator.images.calls import ImageApi
from orchestrator.images.service import DockerImages
from orchestrator.ports import ImageRecord
from orchestrator.settings import ImagesSettings, Project, Settings


class Workshop:
    """Task images in a folder of their own; their names end in random letters, so tests can run side by side."""

    def __init__(self, folder: Path, api: ImageApi) -> None:
        self.folder = folder
        self.api = api
        self.records: list[ImageRecord] = []
        self._suffix = secrets.token_hex(4)

    def name(self, short: str) -> str:
        return f"{short}-{self._suffix}"

    def write(self, short: str, dockerfile: str, **files: str) -> str:
        """A task image's folder; `{x}` in its Dockerfile is the full name of image x."""
        name = self.name(short)
        folder = self.folder / "task-images" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "Dockerfile").write_text(dockerfile.format_map(_Names(self.name)))
        for file, text in files.items():
            (folder / file).write_text(text)
        return name

    def images(self, api: ImageApi | None = None, **settings: object) -> DockerImages:
        project = Project(
            root=self.folder,
            home=self.folder / ".orchestrator",
            settings=Settings(images=ImagesSettings(**settings)),  # type: ignore[arg-type]  # names are checked by msgspec
            sources={},
            engine_environment={},
        )
        return DockerImages(
            api or self.api, project, DeploymentId(f"f{self._suffix[:7]}"), SystemClock(), built=self.records.append
        )

    def clean(self) -> None:
        """Remove all of ours; one that others are built from goes in a later round than they."""
        while ours := self._ours():
            for image in ours:
                with suppress(docker.errors.APIError):
                    self.api.client().remove_image(image, force=True)
            assert len(self._ours()) < len(ours)

    def _ours(self) -> set[str]:
        found = self.api.client().images(filters={"label": [NAME_LABEL]})
        return {image["Id"] for image in found if image["Labels"][NAME_LABEL].endswith(self._suffix)}


class _Names(dict[str, str]):
    def __init__(self, name: Callable[[str], str]) -> None:
        super().__init__()
        self._name = name

    def __missing__(self, key: str) -> str:
        return self._name(key)


@pytest.fixture(scope="session")
def image_api(engine_address: Address) -> Iterator[ImageApi]:
    api = ImageApi(lambda: engine_address)
    yield api
    api.close()


@pytest.fixture(scope="session")
def registry_program(engine_address: Address, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return need_registry_program(tmp_path_factory.mktemp("registry-program"))


@pytest.fixture(scope="session")
def registry(registry_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry in which everybody may read and write."""
    made = Registry(registry_program, tmp_path_factory.mktemp("registry"))
    yield made
    made.stop()


@pytest.fixture
def workshop(tmp_path: Path, image_api: ImageApi) -> Iterator[Workshop]:
    made = Workshop(tmp_path, image_api)
    yield made
    made.clean()
