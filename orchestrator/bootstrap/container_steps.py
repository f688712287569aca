"""What only a container can tell: that its limits hold, and that the engine sees the files of our data roots."""

import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import docker.errors
from docker.types import Mount

from orchestrator.bootstrap.steps import Finding, Step, fail, ok, warn
from orchestrator.errors import NoSuchContainerError
from orchestrator.ids import DEPLOYMENT_LABEL, KIND_LABEL, PROBE_KIND, DeploymentId
from orchestrator.images.calls import ImageApi, engine_calls
from orchestrator.images.resolve import ExternalImages

_MEMORY = 64 << 20
_PATIENCE = 60
#: Where control groups of version 2 and 1 say how much memory there may be.
_LIMIT_FILES = "/sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes"


class ContainerSteps:
    """Steps that run a small container of the base image `base`; nothing of it stays."""

    def __init__(
        self,
        api: ImageApi,
        images: ExternalImages,
        base: str,
        deployment: DeploymentId,
        engine_path: Callable[[str], str | None] = str,
    ) -> None:
        self._api = api
        self._engine_path = engine_path
        self._images = images
        self._base = base
        self._labels = {DEPLOYMENT_LABEL: deployment, KIND_LABEL: PROBE_KIND}

    def limits(self, needs: tuple[str, ...]) -> Step:
        return Step(name="limits", look=self._look_at_limits, needs=needs)

    def roots(self, roots: Mapping[str, Path], needs: tuple[str, ...]) -> Step:
        return Step(name="data roots", look=lambda: self._look_at_roots(roots), needs=needs)

    def _look_at_limits(self) -> Finding:
        if self._images.find(self._base) is None:
            return _not_yet(self._base)
        told, trouble = self._run(f"cat {_LIMIT_FILES} 2>/dev/null; true", {})
        if trouble:
            return fail(f"a container with a memory limit cannot be run: {trouble}", "see the engine's log")
        if told.split() != [str(_MEMORY)]:
            return fail(
                f"a container limited to {_MEMORY} B of memory says its limit is {told.strip() or 'not there'}",
                "boot with memory control groups (kernel option cgroup_enable=memory), or use another engine",
            )
        return ok("memory limits of containers hold")

    def _look_at_roots(self, all_roots: Mapping[str, Path]) -> Finding:
        roots = {name: path for name, path in all_roots.items() if path.is_dir()}
        if not roots:
            return ok(f"none is there yet: {', '.join(str(path) for path in all_roots.values())}")
        if self._images.find(self._base) is None:
            return _not_yet(self._base)
        token = f".orchestrator-probe-{secrets.token_hex(4)}"
        files = {name: path / token for name, path in roots.items()}
        try:
            for name, file in files.items():
                problem = _write(file, token)
                if problem:
                    return fail(
                        f"the data root {name} cannot be written: {problem}", f"make {file.parent} writable"
                    )
            binds = {f"/roots/{index}": self._engine_path(str(path)) for index, path in enumerate(roots.values())}
            told, trouble = self._run(f"cat /roots/*/{token}", {at: path for at, path in binds.items() if path})
        finally:
            for file in files.values():
                with suppress(OSError):
                    file.unlink(missing_ok=True)
        if trouble or told != token * len(roots):
            return warn(
                f"the engine does not see the files of {', '.join(str(path) for path in roots.values())}: "
                f"{trouble or 'they are other ones over there'}; data roots are volumes of the engine instead",
                "to have them here, use an engine on this machine, or set roots.<name> to a folder that it shares",
            )
        return ok(f"the engine sees {', '.join(str(path) for path in roots.values())}")

    def _run(self, script: str, binds: Mapping[str, str]) -> tuple[str, str]:
        """Output of a shell script in a small container, and what went wrong ("" = nothing)."""
        local = self._images.find(self._base)
        if local is None:
            raise NoSuchContainerError(f"the base image {self._base} is not here", fix="see the line `base image`")
        client = self._api.client()
        with engine_calls():
            try:
                container = client.create_container(
                    local.id,
                    command=["-c", script],
                    entrypoint=["/bin/sh"],
                    labels=self._labels,
                    network_disabled=True,
                    host_config=client.create_host_config(
                        mem_limit=_MEMORY,
                        memswap_limit=_MEMORY,
                        mounts=[Mount(target, source, type="bind") for target, source in binds.items()],
                    ),
                )["Id"]
            except docker.errors.APIError as error:
                return "", str(error.explanation)
            try:
                client.start(container)
                code = client.wait(container, timeout=_PATIENCE)["StatusCode"]
                told = client.logs(container, stdout=True, stderr=True).decode(errors="replace")
            except docker.errors.APIError as error:
                return "", str(error.explanation)
            finally:
                client.remove_container(container, v=True, force=True)
        return told, "" if code == 0 else f"it ended with {code}: {told.strip()}"


def _not_yet(base: str) -> Finding:
    return warn(f"not looked at: {base} is not here yet", "see the line `base image`")


def _write(file: Path, text: str) -> str:
    """Write a small file; why that cannot be, or ""."""
    try:
        file.write_text(text)
    except OSError as error:
        return str(error)
    return ""
