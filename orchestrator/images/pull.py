"""One pull of one image from a registry, and what its failure means for the task that waits: gone for good,
or worth trying again.
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import docker.errors
import msgspec
import requests
from docker import APIClient, auth
from docker.utils import parse_repository_tag

from orchestrator.clock import Clock
from orchestrator.errors import ImageError
from orchestrator.images.calls import BROKEN, is_silence
from orchestrator.ports import RegistryLogin
from orchestrator.states import ReasonCode

#: What engines and registries say of an image that waiting will not bring, tried against a real registry.
_REFUSALS: tuple[tuple[re.Pattern[str], ReasonCode, str], ...] = (
    (
        re.compile(
            r"no matching manifest for|no match for platform|does not match the (?:specified|expected) platform"
        ),
        ReasonCode.PLATFORM_MISMATCH,
        "set platform= to one the image has and the engine can run",
    ),
    (
        re.compile(r"pull access denied|unauthorized|denied: |no basic auth credentials"),
        ReasonCode.IMAGE_MISSING,
        "correct the name, build it from task-images/, or log in with `docker login`",
    ),
    (
        re.compile(r"manifest unknown|manifest for .* not found|name unknown|not found: "),
        ReasonCode.IMAGE_MISSING,
        "correct the name or the tag",
    ),
    (
        re.compile(r"invalid reference format|repository name must be lowercase|invalid tag format"),
        ReasonCode.IMAGE_MISSING,
        "write it as [registry/]name[:tag]",
    ),
)


def pull(
    api: APIClient,
    reference: str,
    *,
    platform: str | None,
    limit: timedelta,
    login: RegistryLogin | None = None,
    clock: Clock,
    tell: Callable[[str], None],
) -> None:
    """Pull `reference`, telling of each layer, with this login, else that which `docker login` left. `ImageError`
    with `wait=True` where the registry cannot be reached, answers nonsense, or `limit` is over."""
    end = clock.monotonic() + limit.total_seconds()
    try:
        for line in _lines(api, reference, platform, limit, login):
            if "error" in line:
                raise refusal(reference, str(line["error"]))
            if clock.monotonic() > end:
                raise refusal(reference, f"not complete after {limit.total_seconds():g} s")
            tell(_said(line))
    except BROKEN as error:
        if not is_silence(error):
            raise
        raise refusal(reference, f"the engine said nothing for {limit.total_seconds():g} s") from error


def registry_problem(api: APIClient, reference: str, limit: timedelta) -> str:
    """Why the engine cannot have `reference` from its registry, or "" where it can. Asks for its description
    only, for at most `limit`."""
    repository, tag = parse_repository_tag(reference)
    try:
        response = api.get(
            f"{api.base_url}/v{api.api_version}/distribution/{repository}:{tag or 'latest'}/json",
            headers=_credentials(api, repository),
            timeout=limit.total_seconds(),
        )
    except BROKEN as error:
        if not is_silence(error):
            raise
        return f"its registry does not answer within {limit.total_seconds():g} s"
    return "" if response.ok else _message(response)


def refusal(reference: str, words: str) -> ImageError:
    """What the engine's `words` about a pull mean."""
    for pattern, code, fix in _REFUSALS:
        if pattern.search(words):
            return ImageError(code, f"the image {reference} cannot be had: {words}", fix=fix)
    return ImageError(
        ReasonCode.IMAGE_PULL_FAILED,
        f"the image {reference} cannot be pulled now: {words}",
        wait=True,
        fix="check that the engine's machine reaches the registry, or load the image with `docker load`",
    )


def _lines(
    api: APIClient, reference: str, platform: str | None, silence: timedelta, login: RegistryLogin | None
) -> Iterator[dict[str, Any]]:
    """The engine's report, line by line. Sent by hand, because `APIClient.pull` waits without limit."""
    repository, tag = parse_repository_tag(reference)
    parameters = {"fromImage": repository, "tag": tag or "latest"} | ({"platform": platform} if platform else {})
    with api.post(
        f"{api.base_url}/v{api.api_version}/images/create",
        params=parameters,
        headers=_login(reference, repository, login) if login else _credentials(api, repository),
        stream=True,
        timeout=silence.total_seconds(),
    ) as response:
        if response.status_code >= requests.codes.bad_request:
            raise refusal(reference, _message(response))
        for line in response.iter_lines():
            if line:
                yield msgspec.json.decode(line)


def _credentials(api: APIClient, repository: str) -> Mapping[str, str]:
    registry, _ = auth.resolve_repository_name(repository)
    try:
        header = auth.get_config_header(api, registry)
    except docker.errors.DockerException as error:
        raise ImageError(
            ReasonCode.IMAGE_PULL_FAILED,
            f"the credentials for {registry} cannot be read: {error}",
            wait=True,
            fix="correct credsStore or credHelpers in ~/.docker/config.json",
        ) from error
    return {"X-Registry-Auth": header.decode() if isinstance(header, bytes) else header} if header else {}


def _login(reference: str, repository: str, login: RegistryLogin) -> Mapping[str, str]:
    """The header with a login, which no other registry is told."""
    registry, _ = auth.resolve_repository_name(repository)
    if _plain(login.registry) != _plain(registry):
        raise ImageError(
            ReasonCode.IMAGE_PULL_FAILED,
            f"the image {reference} is at {registry}, and the login is for {_plain(login.registry)}",
            fix="correct docker_conn_id, or the host of its connection",
        )
    told = {"username": login.username, "password": login.password, "serveraddress": registry}
    return {"X-Registry-Auth": urlsafe_b64encode(msgspec.json.encode(told)).decode()}


def _plain(registry: str) -> str:
    """A registry's place, whichever way it is written; Docker's own has several names."""
    place = registry.removeprefix("https://").removeprefix("http://").partition("/")[0].lower()
    return "docker.io" if place in ("index.docker.io", "registry-1.docker.io", "hub.docker.com") else place


def _message(response: requests.Response) -> str:
    try:
        return str(msgspec.json.decode(response.content)["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return response.text or f"status {response.status_code}"


def _said(line: Mapping[str, Any]) -> str:
    parts = (line.get("id"), line.get("status"), line.get("progress"))
    return " ".join(str(part) for part in parts if part)
