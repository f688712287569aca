"""Kinds of images that tasks are made of, each on a real engine: a user that is not root, a root that cannot be
written, no shell, another libc. A program that every kind can run copies files, so that one test serves all.

The image without a shell has one file, an `awk`. The one with musl is put together as Alpine's are: its libc, its
loader and a busybox as `/bin/sh`; its program, CMake's interpreter from PyPI's wheel for Alpine, is linked against
it, and its user has a name."""

import io
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from orchestrator.bootstrap.machine import LocalMachine
from orchestrator.engines.docker.address import Address
from orchestrator.engines.docker.client import Client
from orchestrator.errors import RepairError
from orchestrator.spec.value import Value

KINDS = ("user", "read-only", "no-shell", "musl")
RESULT = "$ORCHESTRATOR_RESULT"
SECRET = "/run/secrets/db"  # noqa: S105 - a path
_TIMEOUT = 120.0
#: Later ones need a newer musl than Debian bookworm has.
_CMAKE = "3.24.3"
GREETING = "good day"


class ImageKind(Value, frozen=True, kw_only=True):
    """One kind. `arguments` belong to every task of it."""

    name: str
    image: str
    uid: int
    language: Literal["sh", "awk", "cmake"]
    arguments: str = ""

    def task(
        self,
        task_id: str,
        *copies: tuple[str, str],
        arguments: str = "",
        secret: bool = False,
        fails: bool = False,
    ) -> str:
        """The statement of a task that copies these files in turn; what is copied to `RESULT` it hands on. The
        volume of its run is at /work, with /work/greeting in it. With `secret` it needs `/run/secrets/db` to be
        what the variable DB is, prints it, and hands on how long it is. At its end it `fails`, or does not."""
        program = {"sh": _shell, "awk": _awk, "cmake": _cmake}[self.language](copies, secret=secret)
        if fails:
            program += f"\n{_FAILING[self.language]}"
        path = f"/work/program-{task_id}"
        command = [*_INTERPRETERS[self.language], path]
        inputs = {path: program, "/work/greeting": f'"{GREETING}"'}
        more = ", ".join(filter(None, ("mounts=[Mount.run('/work')]", self.arguments, arguments)))
        what = f"task_id={task_id!r}, image={self.image!r}, command={command!r}, inputs={inputs!r}"
        return f"DockerOperator({what}, {more})"


_INTERPRETERS = {"sh": ("sh", "-e"), "awk": ("awk", "-f"), "cmake": ("cmake", "-P")}
_FAILING = {"sh": "exit 1", "awk": "BEGIN { exit 1 }", "cmake": "message(FATAL_ERROR no)"}


def _shell(copies: tuple[tuple[str, str], ...], *, secret: bool) -> str:
    lines = [f'cat {source} > "{target}"' for source, target in copies]
    if secret:
        lines += [
            f's=$(cat {SECRET}); [ "$s" = "$DB" ]; echo "it is $s."',
            f'[ "$(stat -c %a:%u {SECRET})" = "400:$(id -u)" ]',
            f'printf %s "$s" | wc -c > "{RESULT}"',
        ]
    return "\n".join(lines)


def _awk(copies: tuple[tuple[str, str], ...], *, secret: bool) -> str:
    lines = ["BEGIN {"]
    for source, target in copies:
        place = 'ENVIRON["ORCHESTRATOR_RESULT"]' if target == RESULT else f'"{target}"'
        lines.append(f'while ((getline line < "{source}") > 0) printf "%s", line > {place}')
        lines.append(f'close("{source}")')  # so that the next copy reads it from its beginning
    if secret:
        lines += [
            f'if ((getline s < "{SECRET}") != 1 || s != ENVIRON["DB"]) exit 1',
            'print "it is " s "."',
            'printf "%d", length(s) > ENVIRON["ORCHESTRATOR_RESULT"]',
        ]
    return "\n".join([*lines, "}"])


def _cmake(copies: tuple[tuple[str, str], ...], *, secret: bool) -> str:
    lines = []
    for source, target in copies:
        place = "$ENV{ORCHESTRATOR_RESULT}" if target == RESULT else target
        lines.append(f'file(READ "{source}" text)\nfile(WRITE "{place}" "${{text}}")')
    if secret:
        lines += [
            f'file(READ "{SECRET}" s)\nstring(STRIP "${{s}}" s)',
            'if(NOT s STREQUAL "$ENV{DB}")\nmessage(FATAL_ERROR "another")\nendif()',
            'message(STATUS "it is ${s}.")\nstring(LENGTH "${s}" n)',
            'file(WRITE "$ENV{ORCHESTRATOR_RESULT}" "${n}")',
        ]
    return "\n".join(lines)


class Kinds:
    """Makes the images on an engine, each at its first need, and removes them all."""

    def __init__(self, address: Address, base: str, folder: Path) -> None:
        self._client = Client(lambda: address, _TIMEOUT)
        self._base = base
        self._folder = folder
        self._made: dict[str, ImageKind] = {}

    def kind(self, name: str) -> ImageKind:
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def close(self) -> None:
        for image in {kind.image for kind in self._made.values()}:
            self._client.call("DELETE", f"/images/{image}", {"force": "1"})
        self._client.close()

    def _make(self, name: str) -> ImageKind:
        image = f"orchestrator-test/{name}:1"
        match name:
            case "user" | "read-only":
                image = "orchestrator-test/user:1"
                self._commit(image, "USER 1000:1000")
                alone = "read_only=True" if name == "read-only" else ""
                return ImageKind(name=name, image=image, uid=1000, language="sh", arguments=alone)
            case "no-shell":
                awk = self._package("busybox-static") / "bin/busybox"
                self._load(image, {"bin/awk": awk.read_bytes()}, "ENV PATH=/bin")
                return ImageKind(name=name, image=image, uid=0, language="awk")
            case "musl":
                self._load(image, self._alpine_like(), "ENV PATH=/usr/bin:/bin", "USER worker")
                return ImageKind(name=name, image=image, uid=4321, language="cmake")
        raise ValueError(name)

    def _alpine_like(self) -> dict[str, bytes]:
        musl = self._package("musl")
        libc = next(musl.glob("lib/*/libc.so")) if (musl / "lib").exists() else next(musl.rglob("libc.so"))
        cmake = self._wheel("cmake")
        share = next((cmake / "cmake/data/share").glob("cmake-*"))
        files = {f"usr/share/{share.name}/{each}": b"" for each in ("Modules/CMake.cmake", "Templates/a")}
        libraries = {f"usr/lib/{each.name}": each.read_bytes() for each in (cmake / "cmake.libs").iterdir()}
        return {
            **files,
            **libraries,
            "lib/ld-musl-x86_64.so.1": libc.read_bytes(),
            "lib/libc.musl-x86_64.so.1": libc.read_bytes(),
            "bin/sh": (self._package("busybox-static") / "bin/busybox").read_bytes(),
            "usr/bin/cmake": (cmake / "cmake/data/bin/cmake").read_bytes(),
            "etc/passwd": b"root:x:0:0::/root:/bin/sh\nworker:x:4321:4321::/:/bin/sh\n",
            "etc/group": b"worker:x:4321:\n",
            "etc/ld-musl-x86_64.path": b"/lib\n/usr/lib\n",
        }

    def _package(self, name: str) -> Path:
        """A package of Debian's, unpacked."""
        folder = self._folder / name
        if folder.exists():
            return folder
        machine = LocalMachine()
        if not (machine.is_root() and machine.is_debian()):
            pytest.skip(f"needs root on Debian, to get its package {name}")
        folder.mkdir()
        get = f"apt-get download -qq -o APT::Sandbox::User=root {name}"
        script = f'cd "$0" && ({get} || (apt-get update -qq && {get})) && dpkg -x {name}_*.deb .'
        try:
            machine.run(("sh", "-c", script, str(folder)), print)
        except RepairError as error:
            pytest.skip(f"needs Debian's package {name}: {error}")
        return folder

    def _wheel(self, name: str) -> Path:
        """What PyPI has of this name for Alpine, unpacked."""
        folder = self._folder / name
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"]
        options = ["--platform=musllinux_1_1_x86_64", f"--dest={folder}"]
        subprocess.run([*command, *options, f"{name}=={_CMAKE}"], check=True, capture_output=True)
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            wheel.extractall(folder)  # noqa: S202 - a zip file, which keeps to its folder
        return folder

    def _load(self, image: str, files: Mapping[str, bytes], *changes: str) -> None:
        """An image of these programs, and a /tmp."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for path, data in files.items():
                entry = tarfile.TarInfo(path)
                entry.size, entry.mode = len(data), 0o755
                archive.addfile(entry, io.BytesIO(data))
            temporary = tarfile.TarInfo("tmp")
            temporary.type, temporary.mode = tarfile.DIRTYPE, 0o1777
            archive.addfile(temporary)
        query = {"fromSrc": "-", "repo": image.rpartition(":")[0], "tag": "1", "changes": "\n".join(changes)}
        reply = self._client.call("POST", "/images/create", query, packed.getvalue(), "application/x-tar")
        assert reply.status == 200, reply.text
        assert "error" not in reply.text, reply.text

    def _commit(self, image: str, change: str) -> None:
        """The base image with one more line of a Dockerfile."""
        body = msgspec.json.encode({"Image": self._base, "Cmd": ["true"]})
        container = msgspec.json.decode(self._client.call("POST", "/containers/create", body=body).body)["Id"]
        try:
            query = {"container": container, "repo": image.rpartition(":")[0], "tag": "1", "changes": change}
            reply = self._client.call("POST", "/commit", query)
            assert reply.status == 201, reply.text
        finally:
            self._client.call("DELETE", f"/containers/{container}")


@contextmanager
def all_kinds(address: Address, base: str, folder: Path) -> Iterator[Kinds]:
    with closing(Kinds(address, base, folder)) as kinds:
        yield kinds
