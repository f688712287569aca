"""Mounts as a DAG file writes them: `Mount(...)`, a mapping of its arguments, or `source:target[:ro]`."""

import re
from collections.abc import Mapping
from typing import Any, Self

import msgspec

from orchestrator.authoring.faults import Rule, fault, nearest
from orchestrator.spec import container

_NAMES = ("source", "target", "type", "read_only")
#: What docker-py's own mounts, which are mappings, call the same things.
_ENGINE_NAMES = {"Source": "source", "Target": "target", "Type": "type", "ReadOnly": "read_only"}
#: `source:target[:ro|rw]`; a colon inside a template does not separate.
_PARTS = re.compile(r"(?:\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}|[^:])+|:", re.DOTALL)


class Mount:
    """Something mounted at the absolute path `target` of a container: a named volume, a file or folder of the
    engine's host (`type="bind"`; a relative source means the project folder), or memory (`type="tmpfs"`, which
    has no source)."""

    __slots__ = ("spec",)

    def __init__(
        self,
        source: str | None = None,
        target: str | None = None,
        type: str = "volume",  # noqa: A002 - the name docker and its users use
        read_only: bool = False,  # noqa: FBT001, FBT002 - the fourth of docker's own arguments
    ) -> None:
        if type == container.MountType.ROOT:
            raise _misfit("type='root' is written otherwise", fix=f"write Mount.root({source!r}, {target!r})")
        self.spec = _spec({"source": source, "target": target, "type": type, "read_only": read_only})

    @classmethod
    def root(cls, name: str, target: str, *, read_only: bool = False) -> Self:
        """The data root `name`: a folder that the site maps, so that a DAG file holds no host path."""
        mount = cls.__new__(cls)
        mount.spec = _spec(
            {"source": name, "target": target, "type": container.MountType.ROOT, "read_only": read_only}
        )
        return mount

    def __repr__(self) -> str:
        return f"Mount({self.spec.source!r}, {self.spec.target!r}, type={self.spec.type.value!r})"


def read_mount(written: object) -> container.Mount:
    """A mount from any of the ways to write one; `bad_argument` or `unknown_argument` otherwise."""
    if isinstance(written, Mount):
        return written.spec
    if isinstance(written, str):
        return _from_text(written)
    if isinstance(written, Mapping):
        return _spec(_from_mapping(written))
    raise _misfit(f"{written!r} is no mount", fix='write Mount(source, target) or "source:target"')


def _from_mapping(written: Mapping[str, Any]) -> dict[str, Any]:
    values = {_ENGINE_NAMES.get(name, name): value for name, value in written.items()}
    for name in values:
        if name not in _NAMES:
            raise fault(
                f"a mount has no argument {name!r}{nearest(str(name), _NAMES)}",
                rule=Rule.UNKNOWN_ARGUMENT,
                fix=f"it takes {', '.join(_NAMES)}",
            )
    return values


def _from_text(text: str) -> container.Mount:
    parts = [part for part in _PARTS.findall(text) if part != ":"]
    mode = parts[2] if len(parts) == 3 else "rw"  # noqa: PLR2004 - source, target, mode
    if len(parts) not in (2, 3) or mode not in ("ro", "rw"):
        raise _misfit(f"{text!r} is no mount", fix='write "source:target" or "source:target:ro"')
    source, target = parts[0], parts[1]
    if source.startswith(("{{", "{%", "{#")):
        raise _misfit(
            f"{text!r}: whether its source is a volume or a path is not known before rendering",
            fix='write Mount(source, target, type="volume"), or type="bind"',
        )
    kind = container.MountType.BIND if source.startswith(("/", ".", "~")) else container.MountType.VOLUME
    return _spec({"source": source, "target": target, "type": kind, "read_only": mode == "ro"})


def _spec(values: Mapping[str, Any]) -> container.Mount:
    given = {name: value for name, value in values.items() if value is not None}
    target, source = given.get("target"), given.get("source")
    if target is None:
        raise fault("a mount has no target", rule=Rule.MISSING_ARGUMENT, fix="write Mount(source, target)")
    if isinstance(source, str) and source.startswith("/") and not str(target).startswith(("/", "{")):
        raise _misfit(
            f"source {source!r} and target {target!r} look exchanged",
            fix=f"write Mount({target!r}, {source!r}), or name both",
        )
    try:
        return msgspec.convert(given, container.Mount)
    except msgspec.ValidationError as error:
        raise _misfit(f"a mount cannot be read: {error}", fix="see the types of Mount's arguments") from error


def _misfit(message: str, *, fix: str) -> Exception:
    return fault(message, rule=Rule.BAD_ARGUMENT, fix=fix)
