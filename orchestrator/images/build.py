"""One build of one task image by the engine's classic builder, its output kept in a log file.

(The classic builder is the one docker-py drives; Dockerfiles that need BuildKit fail with the engine's words.)
"""

import re
from collections import deque
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import docker.errors
from docker import APIClient
from docker.credentials.errors import StoreError

from orchestrator.errors import ImageError
from orchestrator.images.calls import BROKEN, is_silence
from orchestrator.states import ReasonCode

#: A build that says nothing for so long is given up; ending the call makes the engine end the build.
SILENCE = timedelta(minutes=30)
_LAST_LINES = 20
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def build(
    api: APIClient,
    *,
    name: str,
    tag: str,
    context: BinaryIO,
    labels: Mapping[str, str],
    log_path: Path,
    tell: Callable[[str], None],
) -> None:
    """Build `tag` from a context archive; `tell` hears every line. `ImageError` (image_build_failed) with the
    last lines and the log's path."""
    log_path.parent.mkdir(parents=True, exist_ok=True)
    last: deque[str] = deque(maxlen=_LAST_LINES)
    with log_path.open("w", encoding="utf-8") as log:

        def take(text: str) -> None:
            for line in text.splitlines():
                _write(log, line)
                last.append(line)
                tell(line)

        try:
            for message in _messages(api, tag, context, labels):
                take(_said(message))
                if "error" in message:
                    raise _failed(name, last, log_path)
        except (docker.errors.DockerException, StoreError) as error:  # refused, or no credentials to send along
            take(str(getattr(error, "explanation", None) or error))
            raise _failed(name, last, log_path) from error
        except BROKEN as error:
            if not is_silence(error):
                raise
            take(f"no output for {SILENCE}: given up")
            raise _failed(name, last, log_path) from error


def _messages(api: APIClient, tag: str, context: BinaryIO, labels: Mapping[str, str]) -> Any:
    return api.build(
        fileobj=context,
        custom_context=True,
        tag=tag,
        labels=dict(labels),
        rm=True,
        forcerm=True,
        decode=True,
        use_config_proxy=True,
        timeout=int(SILENCE.total_seconds()),
    )


def _failed(name: str, last: deque[str], log_path: Path) -> ImageError:
    lines = "\n".join(f"    {line}" for line in last)
    return ImageError(
        ReasonCode.IMAGE_BUILD_FAILED,
        f"the task image {name} did not build; its last lines:\n{lines}",
        fix=f"correct task-images/{name}, then `orchestrator images build {name}`; all of its output: {log_path}",
    )


def _said(message: Mapping[str, Any]) -> str:
    if "error" in message:
        return str(message["error"])
    if "stream" in message:
        return _COLOURS.sub("", str(message["stream"])).rstrip()
    if "progress" in message or "progressDetail" in message:
        return ""
    return " ".join(str(message[key]) for key in ("id", "status") if message.get(key))


def _write(log: TextIO, line: str) -> None:
    log.write(line + "\n")
    log.flush()
