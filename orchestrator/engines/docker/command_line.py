"""A container spec as the shell line that does the same by hand. Pure.

Secrets are places that variables of the shell fill (`placeholders`).
What docker's command line cannot say is left out: that the files which the engine itself writes (`/etc/hosts` and
its like) are read-only. So are our labels: by them a scheduler would take the container for one of its own.
"""

import base64
import csv
import io
import posixpath
import shlex
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path

from orchestrator.engines.docker import placeholders
from orchestrator.engines.docker.archive import pack
from orchestrator.engines.docker.convert import LOG_DRIVER, host_names, log_options, security_options
from orchestrator.engines.docker.options import typed
from orchestrator.ids import LABEL_PREFIX
from orchestrator.spec.artifacts import ArtifactId
from orchestrator.spec.container import ContainerSpec, InputFile, Mount, MountType


def docker_run(spec: ContainerSpec, at: datetime, stored: Callable[[ArtifactId], Path]) -> str:
    """A line for a POSIX shell, with the task's exit code: `docker run` where nothing is copied in, else create,
    copy (files dated `at`), start, remove. `stored` tells where a kept file lies here."""
    hidden = placeholders.options(spec.secret_environment)
    arguments = f"{shlex.join(_options(spec))}{hidden} {shlex.join((spec.image, *_words(spec)))}"
    if not spec.files and not spec.secret_files and not spec.networks:
        return f"docker run --rm {arguments}"
    joins = "".join(f' && docker network connect {shlex.quote(name)} "$container"' for name in spec.networks)
    copies = "".join(
        f' && echo {base64.b64encode(packed).decode()} | base64 -d | docker cp - "$container":{shlex.quote(place)}'
        for place, packed in pack(_made_here(spec.files), at).items()
    ) + "".join(
        f' && docker cp {shlex.quote(str(stored(file.artifact)))} "$container":{shlex.quote(file.path)}'
        for file in spec.files
        if file.artifact is not None
    )
    removal = 'docker rm --volumes "$container" >/dev/null'
    if spec.secret_files:
        copies += placeholders.copies(spec.secret_files)
        removal = f'rm -rf "${placeholders.FOLDER}"; {removal}'
    folder = f" && {placeholders.FOLDER}=$(mktemp -d)" if spec.secret_files else ""
    return (
        f"(container=$(docker create {arguments}){folder} && trap '{removal}' EXIT"
        f'{copies}{joins} && docker start --attach "$container")'
    )


def _made_here(files: Iterable[InputFile]) -> tuple[InputFile, ...]:
    """Files whose bytes stand in the spec, and the folders of the others: `docker cp` makes none."""
    folders = {posixpath.dirname(file.path): file for file in files if file.artifact is not None}
    missing = (
        InputFile(path=path, volume=file.volume, mode=0o755)
        for path, file in sorted(folders.items())
        if path not in ("/", "/tmp", file.volume)  # noqa: S108 - a path in the container, which is there
    )
    return (*missing, *(file for file in files if file.artifact is None))


def _words(spec: ContainerSpec) -> Iterator[str]:
    """What follows the image: docker's `--entrypoint` takes one word, the others come first here."""
    yield from (spec.entrypoint or ())[1:]
    yield from spec.command or ()


def _options(spec: ContainerSpec) -> Iterator[str]:
    yield from typed(spec)
    if spec.platform is not None:
        yield from ("--platform", spec.platform)
    if spec.entrypoint is not None:
        yield from ("--entrypoint", spec.entrypoint[0] if spec.entrypoint else "")
    for option, values in _lists(spec):
        for value in values:
            yield from (option, value)


def _lists(spec: ContainerSpec) -> Iterator[tuple[str, Iterable[str]]]:
    yield "--env", _pairs(spec.environment)
    yield "--label", _pairs({name: text for name, text in spec.labels.items() if not name.startswith(LABEL_PREFIX)})
    yield "--add-host", (f"{name}:{address}" for name, address in host_names(spec).items())
    yield "--security-opt", security_options(spec)
    yield "--log-driver", (LOG_DRIVER,) if log_options(spec) else ()
    yield "--log-opt", _pairs(log_options(spec))
    anonymous = (Mount(type=MountType.VOLUME, target=target) for target in spec.volumes)
    yield "--mount", map(_mount, (*spec.mounts, *anonymous))


def _pairs(values: dict[str, str]) -> Iterator[str]:
    return (f"{name}={value}" for name, value in sorted(values.items()))


def _mount(mount: Mount) -> str:
    """One line of CSV, as docker reads it: a path may hold commas and quotes."""
    fields = [f"type={mount.type}", f"target={mount.target}"]
    if mount.source:
        fields.insert(1, f"source={mount.source}")
    if mount.read_only:
        fields.append("readonly")
    fields += (f"{option}={value}" for option, value in _mount_options(mount) if value)
    line = io.StringIO()
    csv.writer(line).writerow(fields)
    return line.getvalue().removesuffix("\r\n")


def _mount_options(mount: Mount) -> Iterator[tuple[str, str]]:
    yield "consistency", mount.consistency
    yield "bind-propagation", mount.propagation
    yield "volume-subpath", mount.subpath
    yield "volume-nocopy", "true" if mount.no_copy else ""
    yield "volume-driver", mount.driver
    for name, value in mount.driver_options.items():
        yield "volume-opt", f"{name}={value}"
    for name, value in mount.labels.items():
        if not name.startswith(LABEL_PREFIX):
            yield "volume-label", f"{name}={value}"
    yield "tmpfs-size", str(mount.tmpfs_size or "")
    yield "tmpfs-mode", "" if mount.tmpfs_mode is None else f"{mount.tmpfs_mode:o}"
