"""Finds the Docker engine: the setting, DOCKER_HOST, the docker context, then the sockets that engines are
known to make. Everything tried is remembered with its outcome, so that `doctor` can show it.
"""

import hashlib
import os
import socket
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import msgspec

from orchestrator.errors import EngineDeniedError, EngineUnavailableError, SettingsError
from orchestrator.spec.value import Value

_SCHEMES = ("unix", "tcp", "ssh")
_PROBE_TIMEOUT = 2.0

#: The problem of a socket that is there for others.
DENIED = "permission denied"


class TlsFiles(Value, frozen=True, kw_only=True):
    """Certificate files for an engine behind TLS. `verify`: check the engine's certificate and name."""

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    verify: bool = True


class Address(Value, frozen=True, kw_only=True):
    """Where an engine listens: `unix:///path`, `tcp://host:port`, `ssh://[user@]host[:port]`."""

    url: str
    tls: TlsFiles | None = None

    @property
    def parts(self) -> SplitResult:
        return urlsplit(self.url)


class Attempt(Value, frozen=True, kw_only=True):
    """One place that was looked at, and why it was not taken ("" = taken)."""

    source: str
    url: str = ""
    problem: str = ""


class Search(Value, frozen=True, kw_only=True):
    """What a search for the engine gave: `address` None where nothing answers."""

    address: Address | None
    attempts: tuple[Attempt, ...]

    def require(self) -> Address:
        """The address; `EngineUnavailableError` that tells everything tried."""
        if self.address is not None:
            return self.address
        denied = [each.url for each in self.attempts if each.problem == DENIED]
        if denied:
            raise EngineDeniedError(denied[0])
        tried = "; ".join(f"{each.source} {each.url}: {each.problem}" for each in self.attempts)
        raise EngineUnavailableError(
            f"no Docker engine found; tried {tried}",
            fix="start Docker, or set DOCKER_HOST, or run `orchestrator doctor --fix`",
        )


def find_address(setting: str, environment: Mapping[str, str]) -> Search:
    """Find the engine. `setting` is `engine.address` ("" = unset); `environment` holds what may be read:
    DOCKER_*, XDG_RUNTIME_DIR, HOME. Who names an address gets it, whether anything answers there or not.

    Raises `SettingsError` where a named address or context cannot be used."""
    named = _named(setting, environment)
    if named is not None:
        source, address = named
        return Search(address=address, attempts=(Attempt(source=source, url=address.url),))
    attempts: list[Attempt] = []
    for path in known_sockets(environment):
        url = f"unix://{path}"
        problem = _probe(path)
        attempts.append(Attempt(source="known socket", url=url, problem=problem))
        if not problem:
            return Search(address=Address(url=url), attempts=tuple(attempts))
    return Search(address=None, attempts=tuple(attempts))


def known_sockets(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Where engines put their sockets, the most usual first."""
    paths = [Path("/var/run/docker.sock")]
    if home := environment.get("HOME"):
        under = (".docker/run", ".colima/default", ".orbstack/run", ".rd")
        paths += [Path(home, folder, "docker.sock") for folder in under]
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        paths += [Path(runtime, name) for name in ("docker.sock", "podman/podman.sock")]
    return tuple(paths)


def _named(setting: str, environment: Mapping[str, str]) -> tuple[str, Address] | None:
    if setting:
        return "setting engine.address", _checked("setting engine.address", setting, _variables_tls(environment))
    if host := environment.get("DOCKER_HOST"):
        return "DOCKER_HOST", _checked("DOCKER_HOST", host, _variables_tls(environment))
    folder = _config_folder(environment)
    context = environment.get("DOCKER_CONTEXT") or _current_context(folder)
    if folder is None or context in (None, "", "default"):
        return None
    return f"docker context {context!r}", _context_address(folder, str(context))


def _checked(source: str, url: str, tls: TlsFiles | None) -> Address:
    parts = urlsplit(url)
    place = parts.path if parts.scheme == "unix" else parts.hostname
    if parts.scheme not in _SCHEMES or not place:
        raise SettingsError(
            f"{source} is {url!r}, which is no engine address",
            fix="use unix:///path, tcp://host:port or ssh://user@host",
        )
    return Address(url=url, tls=tls if parts.scheme == "tcp" else None)


def _variables_tls(environment: Mapping[str, str]) -> TlsFiles | None:
    """As the docker command reads them: any DOCKER_TLS_VERIFY means verified TLS; a certificate path alone
    means TLS without looking at the engine's certificate."""
    verify = bool(environment.get("DOCKER_TLS_VERIFY"))
    folder = environment.get("DOCKER_CERT_PATH")
    if not verify and not folder:
        return None
    return _tls_of(Path(folder) if folder else _config_folder(environment), verify=verify)


def _tls_of(folder: Path | None, *, verify: bool) -> TlsFiles:
    def existing(name: str) -> str | None:
        return str(folder / name) if folder is not None and (folder / name).is_file() else None

    return TlsFiles(ca=existing("ca.pem"), certificate=existing("cert.pem"), key=existing("key.pem"), verify=verify)


def _config_folder(environment: Mapping[str, str]) -> Path | None:
    if folder := environment.get("DOCKER_CONFIG"):
        return Path(folder)
    home = environment.get("HOME")
    return Path(home, ".docker") if home else None


def _current_context(folder: Path | None) -> str | None:
    if folder is None or not _is_there(folder / "config.json"):
        return None
    name = _read_json(folder / "config.json").get("currentContext")
    return str(name) if name else None


def _is_there(file: Path) -> bool:
    """Whether there is such a file; `SettingsError` where its folder does not let us see."""
    try:
        return file.is_file()
    except PermissionError as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: Exception) -> SettingsError:
    return SettingsError(
        f"{file} cannot be read: {error}",
        fix="repair it or make it readable for your user, or set DOCKER_HOST, or DOCKER_CONFIG to another folder",
    )


def _context_address(folder: Path, name: str) -> Address:
    digest = hashlib.sha256(name.encode()).hexdigest()
    file = folder / "contexts" / "meta" / digest / "meta.json"
    if not _is_there(file):
        raise SettingsError(f"the docker context {name!r} does not exist", fix="see `docker context ls`")
    endpoint = _read_json(file).get("Endpoints", {}).get("docker", {})
    certificates = folder / "contexts" / "tls" / digest / "docker"
    tls = None
    if certificates.is_dir():
        tls = _tls_of(certificates, verify=not endpoint.get("SkipTLSVerify", False))
    return _checked(f"docker context {name!r}", str(endpoint.get("Host", "")), tls)


def _read_json(file: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError) as error:
        raise _unreadable(file, error) from error


def _probe(path: Path) -> str:
    """Why no engine can be reached through this socket, or ""."""
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            return "not a socket"
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_PROBE_TIMEOUT)
            probe.connect(os.fspath(path))
    except FileNotFoundError:
        return "does not exist"
    except PermissionError:
        return DENIED
    except OSError as error:
        return f"nothing answers ({error.strerror or error})"
    return ""
