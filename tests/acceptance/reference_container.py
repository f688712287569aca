"""Runs `reference.py` in a container of an image of its own."""

import io
import tarfile
from pathlib import Path
from typing import NamedTuple

import pytest
from docker import DockerClient
from docker.errors import BuildError


class Expected(NamedTuple):
    """What a day must come to: the bytes of both files, and what the reference said on the way."""

    carriers: bytes
    report: bytes
    said: str


class ReferenceContainer:
    """The reference, ready to be asked for days. Each day is computed once."""

    def __init__(self, client: DockerClient, base_image: str) -> None:
        self._client = client
        self._image = _build(client, base_image)
        self._known: dict[str, Expected] = {}

    def __call__(self, day: str) -> Expected:
        """`day` is written `YYYY-MM-DD`."""
        if day not in self._known:
            self._known[day] = self._compute(day)
        return self._known[day]

    def _compute(self, day: str) -> Expected:
        container = self._client.containers.create(self._image, [day, "/out"])
        try:
            container.start()
            code = container.wait()["StatusCode"]
            said = container.logs().decode()
            assert code == 0, said
            chunks, _ = container.get_archive("/out")
            with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
                return Expected(_file(archive, "out/carriers.csv"), _file(archive, "out/report.json"), said)
        finally:
            container.remove(v=True, force=True)


def _build(client: DockerClient, base_image: str) -> str:
    """The id of the reference's image; fails with what the build said."""
    try:
        image, _ = client.images.build(
            path=str(Path(__file__).parent),
            buildargs={"BASE": base_image},
            tag="orchestrator-tests/reference",
            rm=True,
            forcerm=True,
        )
    except BuildError as error:
        said = "".join(str(line.get("stream", "")) for line in error.build_log)
        raise pytest.fail.Exception(
            f"the reference's image could not be built from {base_image}: {error}\n{said}", pytrace=False
        ) from None
    return str(image.id)


def _file(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None
    return file.read()
