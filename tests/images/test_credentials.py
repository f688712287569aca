"""Logins to registries: a connection's, and what this machine's own configuration has."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from registries import PASSWORD, READER, Registry

from orchestrator.engines.docker.address import Address
from orchestrator.errors import ImageError
from orchestrator.images.calls import ImageApi
from orchestrator.ports import RegistryLogin

pytestmark = pytest.mark.engine


def test_credentials_that_cannot_be_read_fail_the_pull_with_their_place(
    workshop: Any, engine_address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = tmp_path / "docker-credential-broken"
    helper.write_text("#!/bin/sh\necho the key chain is locked; exit 1\n")
    helper.chmod(0o755)
    (tmp_path / "config.json").write_text('{"credsStore": "broken"}')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    images = workshop.images(api=ImageApi(lambda: engine_address))
    try:
        with pytest.raises(ImageError, match="key chain is locked") as caught:
            images.ensure("nowhere.invalid/x:1")
        name = workshop.write("tiny", "FROM scratch\nCOPY a /a\n", a="1")
        with pytest.raises(ImageError, match="key chain is locked"):
            images.ensure(images.pin([name])[name])
    finally:
        images.close()
    assert caught.value.code == "image_pull_failed"
    assert "config.json" in caught.value.fix


@pytest.fixture
def locked(registry_program: Path, tmp_path: Path) -> Iterator[Registry]:
    registry = Registry(registry_program, tmp_path, locked=True)
    yield registry
    registry.stop()


def login(at: Registry, **changes: str) -> RegistryLogin:
    values = {"registry": at.address, "username": READER, "password": PASSWORD}
    return RegistryLogin(**{**values, **changes})


def test_a_login_of_the_task_opens_the_registry_that_it_is_for(workshop: Any, locked: Registry) -> None:
    images, client = workshop.images(), workshop.api.client()
    reference = f"{locked.address}/guarded:1"
    name = workshop.write("guarded", "FROM scratch\nCOPY a /a\n", a="1")
    pushed = images.ensure(images.pin([name])[name]).id
    client.tag(pushed, *reference.rsplit(":", 1))
    told = client.push(reference, auth_config={"username": READER, "password": PASSWORD})
    assert "errorDetail" not in told, told
    client.remove_image(reference)
    workshop.clean()
    with pytest.raises(ImageError) as wrong:
        images.ensure(reference, login=login(locked, password="wrong-horse"))  # noqa: S106 - of this registry alone
    assert (wrong.value.code, wrong.value.wait) == ("image_missing", False)
    try:
        assert images.ensure(reference, login=login(locked, registry=f"http://{locked.address}/v2/")).id == pushed
    finally:
        client.remove_image(reference)


def test_a_login_is_told_to_no_other_registry(workshop: Any, locked: Registry) -> None:
    elsewhere = login(locked, registry="registry.example")
    with pytest.raises(ImageError, match=r"the login is for registry\.example") as refused:
        workshop.images().ensure(f"{locked.address}/guarded:1", login=elsewhere)
    assert (refused.value.code, refused.value.wait) == ("image_pull_failed", False)
    assert PASSWORD not in str(refused.value) + repr(elsewhere)
