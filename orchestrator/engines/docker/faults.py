"""What the engine's refusals mean: one table from status and sentence to our errors.

Sentences are matched only where the status says too little; each row is tested on a real engine. What no row
matches keeps the engine's own words as `create_refused`, which is not infrastructure.
"""

import re
from http.client import (
    BAD_GATEWAY,
    BAD_REQUEST,
    CONFLICT,
    GATEWAY_TIMEOUT,
    INTERNAL_SERVER_ERROR,
    NOT_FOUND,
    SERVICE_UNAVAILABLE,
)

from orchestrator.engines.docker.client import Reply
from orchestrator.errors import (
    ContainerRunningError,
    EngineError,
    EngineUnavailableError,
    LaunchRefusedError,
    NameTakenError,
    NoSuchContainerError,
    NoSuchFileError,
)
from orchestrator.ids import ContainerId
from orchestrator.spec.value import Value
from orchestrator.states import ReasonCode


class Sentence(Value, frozen=True, kw_only=True):
    """One row: an answer with this status whose text this pattern is found in. `brief`: what is found says it all,
    the text around it is the engine's own business."""

    status: int
    pattern: str
    code: ReasonCode
    fix: str
    brief: bool = False


SENTENCES = (
    Sentence(
        status=NOT_FOUND,
        pattern=r"^No such image: ",
        code=ReasonCode.IMAGE_MISSING,
        fix="build or pull the image on this engine, or correct its name",
    ),
    Sentence(
        status=NOT_FOUND,
        pattern=r"does not match the specified platform",
        code=ReasonCode.PLATFORM_MISMATCH,
        fix="build or pull the image for this platform, or drop `platform=`",
    ),
    Sentence(
        status=BAD_REQUEST,
        pattern=r"bind source path does not exist",
        code=ReasonCode.MOUNT_MISSING,
        fix="create the folder on the engine's host, or use a data root",
    ),
    Sentence(
        status=NOT_FOUND,
        pattern=r"network .+ not found",
        code=ReasonCode.NETWORK_MISSING,
        fix="create it with `docker network create`, or correct the name",
    ),
    Sentence(
        status=BAD_REQUEST,
        pattern=r'exec: ".*": (executable file not found|stat .*: no such file or directory|permission denied)',
        code=ReasonCode.COMMAND_MISSING,
        fix="the image has no such program, or it is not executable: correct `command`, `entrypoint` or the image",
        brief=True,
    ),
    Sentence(
        status=BAD_REQUEST,
        pattern=r"Range of CPUs is from .*",
        code=ReasonCode.CREATE_REFUSED,
        fix="lower `cpus`, or use an engine with more",
    ),
    Sentence(
        status=BAD_REQUEST,
        pattern=r"Minimum memory limit allowed is",
        code=ReasonCode.CREATE_REFUSED,
        fix="raise `mem_limit`; a number without a unit means bytes",
    ),
    Sentence(
        status=INTERNAL_SERVER_ERROR,
        pattern=r"unable to find (user|group) .*: no matching entries",
        code=ReasonCode.CREATE_REFUSED,
        fix="correct `user`: a name must be known in the image, a number need not",
    ),
    Sentence(
        status=INTERNAL_SERVER_ERROR,
        pattern=r"could not select device driver",
        code=ReasonCode.CREATE_REFUSED,
        fix="install the device's container toolkit on the engine's host, or drop `device_requests`",
    ),
)

#: A proxy before the engine says so when the engine is away.
_AWAY = (BAD_GATEWAY, SERVICE_UNAVAILABLE, GATEWAY_TIMEOUT)


def refused_launch(reply: Reply, container: ContainerId | None = None) -> EngineError:
    """The error for a refused create, copy-in or start; `container` is the id of the one refused."""
    text = reply.text
    if _away(reply):
        return EngineUnavailableError(text)
    if container is not None and f"No such container: {container}" in text:
        return NoSuchContainerError(text)
    for row in SENTENCES:
        found = re.search(row.pattern, text) if row.status == reply.status else None
        if found:
            return LaunchRefusedError(row.code, found[0] if row.brief else text, fix=row.fix)
    return LaunchRefusedError(ReasonCode.CREATE_REFUSED, text)


def refused_create(reply: Reply, name: str) -> EngineError:
    """As `refused_launch`, and `NameTakenError`."""
    taken = re.search(r'already in use by (?:container )?"?([0-9a-f]{12,64})', reply.text)
    if reply.status == CONFLICT and taken:
        return NameTakenError(name, taken[1])
    return refused_launch(reply)


def refused_remove(reply: Reply) -> EngineError:
    """The error for a refused remove. The one conflict that a remove knows is a container that runs."""
    if reply.status == CONFLICT:
        return ContainerRunningError(reply.text)
    return refused(reply)


def refused_file(reply: Reply) -> EngineError:
    """The error for a file that cannot be read."""
    if reply.status == NOT_FOUND and "Could not find the file" in reply.text:
        return NoSuchFileError(reply.text)
    return refused(reply)


def refused(reply: Reply) -> EngineError:
    """The error for any other refusal."""
    if _away(reply):
        return EngineUnavailableError(reply.text)
    if reply.status == NOT_FOUND and "No such container" in reply.text:
        return NoSuchContainerError(reply.text)
    return EngineError(f"the engine answered {reply.status}: {reply.text}")


def _away(reply: Reply) -> bool:
    return reply.status in _AWAY
