"""Images from a real registry on a real engine."""

import secrets
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import docker.errors
import pytest
from registries import Registry, free_port

from orchestrator.bootstrap.base_image import BaseImage
from orchestrator.bootstrap.machine import LocalMachine
from orchestrator.bootstrap.steps import Status
from orchestrator.clock import SystemClock
from orchestrator.errors import ImageError
from orchestrator.images.pull import pull, refusal
from orchestrator.planning.rows import Reason
from orchestrator.spec.dag import PullPolicy

pytestmark = pytest.mark.engine


class Shelf:
    """A name in the registry, and what is pushed there."""

    def __init__(self, workshop: Any, registry: Registry, path: str) -> None:
        self.reference = f"{registry.address}/{path}"
        self._workshop = workshop

    def put(self, content: str, *, forget: bool = True) -> str:
        """Push an image with this content, and (forget) have it only there; its id."""
        name = self._workshop.write("pushed", "FROM scratch\nCOPY a /a\n", a=content)
        images = self._workshop.images()
        image_id = images.ensure(images.pin([name])[name]).id
        client = self._workshop.api.client()
        client.tag(image_id, *self.reference.rsplit(":", 1))
        told = client.push(self.reference)
        assert "errorDetail" not in told, told
        if forget:
            client.remove_image(self.reference)
            self._workshop.clean()
        return str(image_id)

    def clear(self) -> None:
        try:
            self._workshop.api.client().remove_image(self.reference, force=True)
        except docker.errors.ImageNotFound:
            return


@pytest.fixture
def shelf(workshop: Any, registry: Registry) -> Iterator[Shelf]:
    made = Shelf(workshop, registry, f"x{secrets.token_hex(4)}:1")
    yield made
    made.clear()


def test_an_image_that_is_not_here_is_pulled_and_heard_of(workshop: Any, shelf: Shelf) -> None:
    pushed = shelf.put("1")
    heard: list[Reason] = []
    assert workshop.images().ensure(shelf.reference, progress=heard.append).id == pushed
    assert {said.code for said in heard} == {"image_pulling"}
    assert heard[0].text.startswith(f"pulling {shelf.reference}: ")


def test_a_newer_image_is_pulled_only_where_the_policy_says_always(workshop: Any, shelf: Shelf) -> None:
    old = shelf.put("1")
    images = workshop.images()
    assert images.ensure(shelf.reference).id == old
    new = shelf.put("2", forget=False)
    workshop.api.client().tag(old, *shelf.reference.rsplit(":", 1))
    assert images.ensure(shelf.reference).id == old
    assert images.ensure(shelf.reference, pull=PullPolicy.ALWAYS).id == new


def test_many_who_need_an_image_share_one_pull(
    workshop: Any, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed = shelf.put("1")
    images = workshop.images()
    together = threading.Barrier(6)
    pulled: list[str] = []

    def counted(api: Any, reference: str, **options: Any) -> None:
        pulled.append(reference)
        pull(api, reference, **options)

    def ask(_: int) -> str:
        together.wait()
        return str(images.ensure(shelf.reference).id)

    monkeypatch.setattr("orchestrator.images.resolve.pull", counted)
    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(ask, range(6))) == {pushed}
    assert pulled == [shelf.reference]


def test_a_tag_that_the_registry_does_not_have_is_missing(workshop: Any, registry: Registry) -> None:
    with pytest.raises(ImageError, match=r"cannot be had: .*manifest unknown") as caught:
        workshop.images().ensure(f"{registry.address}/none:1")
    assert (caught.value.code, caught.value.wait) == ("image_missing", False)
    assert "correct the name or the tag" in caught.value.fix


def test_an_image_that_we_may_not_have_is_missing(workshop: Any, registry_program: Path, tmp_path: Path) -> None:
    locked = Registry(registry_program, tmp_path, locked=True)
    try:
        with pytest.raises(ImageError, match="no basic auth credentials") as caught:
            workshop.images().ensure(f"{locked.address}/x:1")
    finally:
        locked.stop()
    assert (caught.value.code, caught.value.wait) == ("image_missing", False)
    assert "docker login" in caught.value.fix


def test_a_registry_that_is_down_is_worth_waiting_for(workshop: Any) -> None:
    with pytest.raises(ImageError, match="connection refused") as caught:
        workshop.images().ensure(f"127.0.0.1:{free_port()}/x:1")
    assert (caught.value.code, caught.value.wait) == ("image_pull_failed", True)


def test_a_registry_that_says_nothing_is_given_up_after_the_time_limit(workshop: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(ImageError, match=r"said nothing for 0\.5 s") as caught:
            workshop.images().ensure(f"127.0.0.1:{port}/x:1", timeout=timedelta(seconds=0.5))
    assert (caught.value.code, caught.value.wait) == ("image_pull_failed", True)


def test_an_image_for_other_processors_is_told_before_anything_runs(workshop: Any, shelf: Shelf) -> None:
    shelf.put("1")
    with pytest.raises(ImageError) as caught:
        workshop.images().ensure(shelf.reference, platform="linux/s390x")
    assert (caught.value.code, caught.value.wait) == ("platform_mismatch", False)


@pytest.mark.parametrize(
    ("words", "code", "wait"),
    [
        ("no matching manifest for linux/amd64 in the manifest list entries", "platform_mismatch", False),
        (
            "pull access denied for x it may require 'docker login'",
            "image_missing",
            False,
        ),
        ("toomanyrequests: You have reached your pull rate limit", "image_pull_failed", True),
        ("write /var/lib/docker/tmp/x: no space left on device", "image_pull_failed", True),
    ],
)
def test_words_of_public_registries_are_understood(words: str, code: str, *, wait: bool) -> None:
    error = refusal("x:1", words)
    assert (error.code, error.wait) == (code, wait)
    assert words in error.message


def test_a_base_that_is_to_be_had_is_pulled_on_repair(workshop: Any, registry: Registry, tmp_path: Path) -> None:
    shelf = Shelf(workshop, registry, "python:3.97-slim")
    shelf.put("1")
    base = BaseImage(workshop.api, shelf.reference, LocalMachine(), tmp_path, SystemClock())
    try:
        before = base.look()
        assert (before.status, before.repairable) == (Status.WARN, True)
        said: list[str] = []
        assert base.ensure(said.append) == shelf.reference
        assert any("pulling" in line for line in said)
        assert base.look().status is Status.OK
    finally:
        shelf.clear()
