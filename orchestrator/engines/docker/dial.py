"""Opens sockets to an engine: unix, TCP, TLS, and SSH (through the `ssh` program, as the docker command does)."""

import socket
import ssl
import subprocess
from contextlib import suppress

from orchestrator.engines.docker.address import Address, TlsFiles
from orchestrator.errors import EngineDeniedError, EngineUnavailableError

_PLAIN_PORT, _TLS_PORT = 2375, 2376
_KEEPALIVE_IDLE = 30


def dial(address: Address, timeout: float) -> socket.socket:
    """A connected socket on which HTTP can be spoken; every operation on it waits at most `timeout` seconds.

    Raises `EngineUnavailableError`."""
    try:
        match address.parts.scheme:
            case "unix":
                return _dial_unix(address.parts.path, timeout)
            case "ssh":
                return _dial_ssh(address, timeout)
            case _:
                return _dial_tcp(address, timeout)
    except PermissionError as error:
        raise EngineDeniedError(address.url) from error
    except OSError as error:
        raise EngineUnavailableError(
            f"no Docker engine answers at {address.url}: {error.strerror or error}",
            fix="start it, or correct the address; `orchestrator doctor` shows what was tried",
        ) from error


def _dial_unix(path: str, timeout: float) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    try:
        made.settimeout(timeout)
        made.connect(path)
    except BaseException:
        made.close()
        raise
    return made


def _dial_tcp(address: Address, timeout: float) -> socket.socket:
    host = address.parts.hostname or "localhost"
    port = address.parts.port or (_TLS_PORT if address.tls else _PLAIN_PORT)
    made = socket.create_connection((host, port), timeout)
    try:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # a silent event stream must notice that the other end is gone
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_IDLE)
        if address.tls is None:
            return made
        return _tls_context(address.tls).wrap_socket(made, server_hostname=host)
    except BaseException:
        made.close()
        raise


def _tls_context(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=files.ca)
    if not files.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if files.certificate and files.key:
        context.load_cert_chain(files.certificate, files.key)
    return context


def _dial_ssh(address: Address, timeout: float) -> socket.socket:
    ours, theirs = socket.socketpair()
    login = ["-l", address.parts.username] if address.parts.username else []
    port = ["-p", str(address.parts.port)] if address.parts.port else []
    seconds = ["-o", f"ConnectTimeout={max(1, int(timeout))}", "-o", "BatchMode=yes"]
    command = ["ssh", "-T", *seconds, *login, *port, "--", str(address.parts.hostname)]
    try:
        process = subprocess.Popen(
            [*command, "docker", "system", "dial-stdio"],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=subprocess.DEVNULL,
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return _ProcessSocket(ours, process, timeout)


class _ProcessSocket(socket.socket):
    """Our end of a socket pair whose other end is a process; ends the process when it is closed."""

    def __init__(self, ours: socket.socket, process: subprocess.Popen[bytes], timeout: float) -> None:
        super().__init__(ours.family, ours.type, ours.proto, ours.detach())
        self.settimeout(timeout)
        self._process = process

    def close(self) -> None:
        super().close()
        if self._process.poll() is None:
            self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
