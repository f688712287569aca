"""The connection that image calls take to the engine, with the engine's absence told in our words."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import docker.errors
import requests
import urllib3
from docker import APIClient
from docker.tls import TLSConfig

from orchestrator.engines.docker.address import Address, TlsFiles
from orchestrator.engines.docker.dial import dial
from orchestrator.errors import EngineTimeoutError, EngineUnavailableError

_FIX = "`orchestrator doctor` says which addresses were tried and what is wrong"
#: How docker-py lets a broken or silent connection through.
BROKEN = (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError)


class ImageApi:
    """One docker-py client for all threads, made at the first call, so that an engine may be down before.
    `find` tells where it is (`EngineUnavailableError` where nothing answers); `timeout` is seconds for calls
    that are neither builds nor pulls."""

    def __init__(self, find: Callable[[], Address], timeout: float = 60.0) -> None:
        self._find = find
        self._timeout = timeout
        self._lock = threading.Lock()
        self._client: APIClient | None = None

    def client(self) -> APIClient:
        """`EngineUnavailableError` where there is no client yet and the engine cannot be reached."""
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def find(self, reference: str) -> dict[str, Any] | None:
        """What the engine says of a local image, by name or id; None where it has none."""
        with engine_calls():
            try:
                found: dict[str, Any] = self.client().inspect_image(reference)  # type: ignore[no-untyped-call]  # docker-py's stubs
            except docker.errors.APIError as error:
                if error.is_client_error():  # none of this name, or a name that no image can have
                    return None
                raise
            return found

    def close(self) -> None:
        """Close kept connections; idempotent."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _connect(self) -> APIClient:
        address = self._find()
        dial(address, self._timeout).close()  # docker-py leaks the socket of a connection that is refused
        tls = address.tls
        try:
            return APIClient(
                base_url=address.url,
                version="auto",
                timeout=int(self._timeout),
                tls=_tls(tls) if tls else False,
                use_ssh_client=True,
            )
        except docker.errors.DockerException as error:
            raise EngineUnavailableError(
                f"no engine can be talked to at {address.url}: {error}", fix=_FIX
            ) from error


@contextmanager
def engine_calls() -> Iterator[None]:
    """Within it, an engine that cannot be reached or does not answer raises `EngineUnavailableError` or
    `EngineTimeoutError`."""
    try:
        yield
    except docker.errors.APIError:
        raise
    except BROKEN as error:
        kind = EngineTimeoutError if is_silence(error) else EngineUnavailableError
        raise kind(f"the engine cannot be asked about images: {error}", fix=_FIX) from error


def is_silence(error: Exception) -> bool:
    """Whether a broken call broke because nothing came for too long."""
    return isinstance(error, requests.exceptions.Timeout) or "timed out" in str(error).lower()


def _tls(files: TlsFiles) -> TLSConfig:
    pair = (files.certificate, files.key) if files.certificate and files.key else None
    return TLSConfig(client_cert=pair, ca_cert=files.ca, verify=files.verify)
