"""The base image made of Debian's packages: what it carries from this machine, and that it works."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from machines import FakeMachine

from orchestrator.bootstrap.base_image import BaseImage
from orchestrator.bootstrap.offline_base import (
    build_offline_base,
    carried_settings,
    furnish,
    host_bundle,
    mirror_among,
)
from orchestrator.bootstrap.steps import Status
from orchestrator.clock import SystemClock
from orchestrator.engines.docker.address import Address
from orchestrator.errors import RepairError
from orchestrator.images.calls import ImageApi

LISTING = r"""
:env:.cert='/etc/ssl/certs/ca-certificates.crt'
:env:.index-url='https://packages.example/simple'
global.extra-index-url='file:///opt/simple https://more.example/simple'
global.find-links='/opt/wheels'
global.trusted-host='\na.example\nb.example'
install.proxy='http://user:secret@proxy.example:3128'
"""


def test_only_what_a_container_can_reach_is_carried_over_from_pips_settings() -> None:
    said: list[str] = []
    assert carried_settings(LISTING, said.append) == {
        "index-url": "https://packages.example/simple",
        "extra-index-url": "https://more.example/simple",
        "trusted-host": "a.example b.example",
    }
    assert len(said) == 1
    assert "secret" not in said[0]


@pytest.mark.parametrize(
    ("targets", "mirror"),
    [
        ("http://m.example/debian/ bookworm-security Debian\nhttp://m.example/debian/ bookworm Debian\n", ("http://m.example/debian",)),
        ("http://archive.example/ubuntu/ noble Ubuntu\n", ()),
        ("http://m.example/debian/ bookworm\n", ()),
        ("", ()),
    ],
)  # fmt: skip
def test_packages_come_from_where_this_machine_gets_its_own(targets: str, mirror: str) -> None:
    assert mirror_among(targets) == mirror


def test_a_fresh_file_system_gets_python_certificates_and_settings_and_loses_its_debris(tmp_path: Path) -> None:
    for folder in ("usr/local/bin", "etc/ssl/certs", "var/lib/apt/lists/partial", "usr/share/man/de"):
        (tmp_path / folder).mkdir(parents=True)
    for file in (
        "etc/ssl/certs/ca-certificates.crt",
        "etc/resolv.conf",
        "var/lib/apt/lists/x",
        "usr/share/man/de/y",
    ):
        (tmp_path / file).write_text("old")
    furnish(tmp_path, {"index-url": "https://packages.example/simple"})
    assert (tmp_path / "usr/local/bin/python").readlink() == Path("/usr/bin/python3")
    bundle = host_bundle()
    expected = bundle.read_text() if bundle else "old"
    assert (tmp_path / "usr/local/share/orchestrator/ca-bundle.crt").read_text() == expected
    assert (tmp_path / "etc/ssl/certs/ca-certificates.crt").read_text() == expected
    assert (tmp_path / "etc/pip.conf").read_text() == "[global]\nindex-url = https://packages.example/simple\n"
    assert list((tmp_path / "var/lib/apt/lists").iterdir()) == []
    assert list((tmp_path / "usr/share/man").iterdir()) == []
    assert not (tmp_path / "etc/resolv.conf").exists()


def test_a_python_that_no_release_of_debian_has_says_so(tmp_path: Path) -> None:
    api = ImageApi(lambda: pytest.fail("no engine is needed"))
    with pytest.raises(RepairError, match=r"Python 3\.99"):
        build_offline_base(api, FakeMachine(), tmp_path, "3.99", lambda _: None)


# --- on a real engine ---------------------------------------------------------------------------------


@pytest.fixture
def base_api(engine_address: Address) -> Iterator[ImageApi]:
    api = ImageApi(lambda: engine_address)
    yield api
    api.close()


def base(api: ImageApi, reference: str, machine: FakeMachine, home: Path) -> BaseImage:
    return BaseImage(api, reference, machine, home, SystemClock())


@pytest.mark.engine
def test_the_base_has_python_pip_and_its_certificates(base_api: ImageApi, base_image: str) -> None:
    client = base_api.client()
    script = 'python --version && pip --version && cat "${PIP_CERT:-/dev/null}" | wc -c'
    container = client.create_container(base_image, ["sh", "-c", script], network_disabled=True)["Id"]
    try:
        client.start(container)
        assert client.wait(container, timeout=60)["StatusCode"] == 0
        version, pip, size = client.logs(container).decode().splitlines()
    finally:
        client.remove_container(container, force=True)
    assert version.startswith("Python 3.")
    assert f"(python {version.removeprefix('Python ').rpartition('.')[0]})" in pip
    if base_image.startswith("orchestrator/"):
        bundle = host_bundle()
        assert int(size) == bundle.stat().st_size if bundle else int(size) > 0


@pytest.mark.engine
def test_a_base_that_is_here_is_left_alone(base_api: ImageApi, base_image: str, tmp_path: Path) -> None:
    machine = FakeMachine()
    here = base(base_api, base_image, machine, tmp_path)
    assert here.look().status is Status.OK
    assert here.ensure(pytest.fail) == base_image
    assert machine.ran == []


@pytest.mark.engine
@pytest.mark.parametrize(
    ("reference", "machine", "repairable"),
    [
        ("nowhere.invalid/python:3.99-slim", FakeMachine(), True),
        ("nowhere.invalid/python:3.99-slim", FakeMachine(root=False), False),
        ("nowhere.invalid/python:3.99-slim", FakeMachine(debian=False), False),
        ("nowhere.invalid/other:1", FakeMachine(), False),
    ],
)
def test_a_base_that_is_nowhere_is_made_only_where_it_can_be(
    base_api: ImageApi, tmp_path: Path, reference: str, machine: FakeMachine, *, repairable: bool
) -> None:
    nowhere = base(base_api, reference, machine, tmp_path)
    finding = nowhere.look()
    assert (finding.status, finding.repairable) == (Status.FAIL, repairable)
    assert "doctor --fix" in finding.fix
    if not repairable:
        with pytest.raises(RepairError, match="neither here nor to be had"):
            nowhere.ensure(lambda _: None)
