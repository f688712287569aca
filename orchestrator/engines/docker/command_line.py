"""A container spec as the shell line that does the same by hand. Pure."""

import base64
import shlex
from collections.abc import Iterator
from datetime import datetime

from orchestrator.engines.docker.archive import pack
from orchestrator.spec.container import ContainerSpec, Mount, MountType


def docker_run(spec: ContainerSpec, at: datetime) -> str:
    """A line for a POSIX shell: `docker run` where nothing is copied in, else create, copy (files dated `at`),
    start."""
    arguments = " ".join(shlex.quote(word) for word in (*_options(spec), spec.image, *_words(spec)))
    if not spec.files:
        return f"docker run --rm {arguments}"
    copies = "".join(
        f' && echo {base64.b64encode(packed).decode()} | base64 -d | docker cp - "$container":{shlex.quote(place)}'
        for place, packed in pack(spec.files, at).items()
    )
    return (
        f"container=$(docker create {arguments}){copies}"
        ' && docker start --attach "$container"; docker rm --volumes "$container" >/dev/null'
    )


def _words(spec: ContainerSpec) -> Iterator[str]:
    """What follows the image: docker's `--entrypoint` takes one word, the others come first here."""
    yield from (spec.entrypoint or ())[1:]
    yield from spec.command or ()


def _options(spec: ContainerSpec) -> Iterator[str]:
    for option, value in _named(spec):
        if value is not None:
            yield from (option, str(value))
    for option, on in (("--tty", spec.tty), ("--init", spec.init), ("--read-only", spec.read_only)):
        if on:
            yield option
    for option, values in _lists(spec):
        for value in values:
            yield from (option, value)


def _named(spec: ContainerSpec) -> Iterator[tuple[str, object]]:
    yield "--user", spec.user
    yield "--workdir", spec.working_dir
    yield "--hostname", spec.hostname
    yield "--platform", spec.platform
    yield "--network", spec.network
    yield "--stop-signal", spec.stop_signal
    yield "--cpus", spec.cpus
    yield "--cpu-shares", spec.cpu_shares
    yield "--memory", spec.memory
    yield "--memory-reservation", spec.memory_reservation
    yield "--memory-swap", spec.memory_swap
    yield "--shm-size", spec.shm_size
    yield "--pids-limit", spec.pids_limit
    if spec.entrypoint is not None:
        yield "--entrypoint", spec.entrypoint[0] if spec.entrypoint else ""


def _lists(spec: ContainerSpec) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield "--env", tuple(f"{name}={value}" for name, value in sorted(spec.environment.items()))
    yield "--mount", tuple(_mount(mount) for mount in spec.mounts)
    yield "--volume", spec.volumes
    yield "--tmpfs", tuple(f"{path}:{options}" if options else path for path, options in spec.tmpfs.items())
    yield "--cap-add", spec.cap_add
    yield "--cap-drop", spec.cap_drop
    yield "--group-add", spec.group_add


def _mount(mount: Mount) -> str:
    parts = [f"type={mount.type}", f"target={mount.target}"]
    if mount.type is not MountType.TMPFS:
        parts.insert(1, f"source={mount.source}")
    if mount.read_only:
        parts.append("readonly")
    return ",".join(parts)
