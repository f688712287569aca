"""The forms that docker-py's users write engine options in, each turned into the notation of `docker run`, in which
every part may be a template. All raise ValueError with a sentence where the value has none of them."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator.authoring.faults import dag_file, nearest
from orchestrator.spec.container import DeviceRequest

_REQUEST_NAMES = {"Driver": "driver", "Count": "count", "DeviceIDs": "device_ids", "Capabilities": "capabilities",
                  "Options": "options"}  # fmt: skip


def ports(written: Any) -> Any:
    """`{"80/tcp": 8080}` with, for the host's side, a number, None, `(ip, number)`, or a list of them; or a list
    of `[[ip:]host:]container`."""
    if not isinstance(written, Mapping):
        return _texts(written)
    return [
        _port(str(container), host)
        for container, hosts in written.items()
        for host in (hosts if isinstance(hosts, list) else [hosts])
    ]


def _port(container: str, host: Any) -> str:
    if host is None:
        return container
    if isinstance(host, tuple):
        ip, port = (*host, "")[:2]
        return f"{ip}:{port}:{container}"
    return f"{host}:{container}"


def ulimits(written: Any) -> Any:
    """`{"nofile": 1024}` or `{"nofile": (1024, 2048)}`; or a list of docker-py's `Ulimit` or `name=soft:hard`."""
    if isinstance(written, Mapping):
        return [f"{name}={_limit(value)}" for name, value in written.items()]
    return [_ulimit(each) if isinstance(each, Mapping) else each for each in _items(written)]


def _ulimit(written: Mapping[str, Any]) -> str:
    values = {str(name).lower(): value for name, value in written.items()}
    soft, hard = values.get("soft"), values.get("hard")
    if "name" not in values or (soft is None and hard is None):
        raise ValueError(f"{written!r} has no name, or neither soft nor hard")
    return f"{values['name']}={hard if soft is None else soft}:{soft if hard is None else hard}"


def _limit(value: Any) -> str:
    return ":".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def device_requests(written: Any) -> Any:
    """A list of docker-py's `DeviceRequest`, or of mappings of its arguments."""
    return [_request(each) for each in _items(written)]


def _request(written: Any) -> Any:
    if not isinstance(written, Mapping):
        raise _misfit("docker.types.DeviceRequest or a dict of its arguments", written)
    values = {_REQUEST_NAMES.get(name, name): value for name, value in written.items()}
    for name in values:
        if name not in DeviceRequest.__struct_fields__:
            raise ValueError(
                f"a device request has no {name!r}{nearest(str(name), DeviceRequest.__struct_fields__)}"
            )
    return {name: value for name, value in values.items() if value is not None}


def texts(written: Any) -> Any:
    """A list of texts, or one."""
    return _texts([written] if isinstance(written, str) else written)


def env_file(written: Any) -> Any:
    """What a file of `NAME=value` lines says: found beside the DAG file, else in the project folder. Lines that
    begin with # are comments; `export ` before a name and a pair of quotes around a value are taken off."""
    if written is None:
        return {}
    if not isinstance(written, str | Path):
        raise _misfit("a path", written)
    beside = Path(dag_file.get() or "").parent / written
    path = beside if beside.is_file() else Path(written)
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        looked = " nor ".join(dict.fromkeys((str(beside), os.path.abspath(written))))  # noqa: PTH100 - no symlinks
        raise ValueError(f"{written} cannot be read ({error}); looked for {looked}") from error
    return dict(_variables(str(written), lines))


def _variables(file: str, lines: list[str]) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.removeprefix("export ").partition("=")
        if not equals or not name.strip():
            raise ValueError(f"{file}, line {number}: {text!r} is no NAME=value")
        value = value.strip()
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
        yield name.strip(), value[1:-1] if quoted else value


def _texts(written: Any) -> Any:
    return [str(each) if isinstance(each, int) and not isinstance(each, bool) else each for each in _items(written)]


def _items(written: Any) -> list[Any]:
    if written is None:
        return []
    if not isinstance(written, list | tuple):
        raise _misfit("a list", written)
    return list(written)


def _misfit(expected: str, written: object) -> ValueError:
    return ValueError(f"expected {expected}, got {written!r}")
