"""Mounts as a DAG file writes them: `Mount(...)`, a mapping of its arguments, or `source:target[:ro]`."""

import re
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, Self, TypedDict, TypeVar, Unpack

import msgspec

from orchestrator.authoring.faults import Rule, fault, nearest
from orchestrator.authoring.scope import current_searchpath
from orchestrator.authoring.template_files import with_texts
from orchestrator.spec import container

#: What `Mount(...)` takes.
_NAMES = (
    "source", "target", "type", "read_only", "subpath", "consistency", "propagation", "no_copy", "labels",
    "driver_config", "tmpfs_size", "tmpfs_mode",
)  # fmt: skip
#: Where docker-py's own mounts, which are mappings of mappings, keep the same things.
_ENGINE_NAMES = {
    "Source": "source", "Target": "target", "Type": "type", "ReadOnly": "read_only", "Consistency": "consistency",
    "BindOptions.Propagation": "propagation", "VolumeOptions.NoCopy": "no_copy", "VolumeOptions.Labels": "labels",
    "VolumeOptions.DriverConfig": "driver_config", "VolumeOptions.Subpath": "subpath",
    "TmpfsOptions.SizeBytes": "tmpfs_size", "TmpfsOptions.Mode": "tmpfs_mode",
}  # fmt: skip
_DRIVER_NAMES = {"name": "driver", "options": "driver_options"}
#: `source:target[:ro|rw]`; a colon inside a template does not separate.
_PARTS = re.compile(r"(?:\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}|[^:])+|:", re.DOTALL)


class MountOptions(TypedDict, total=False):
    """What `Mount(...)` takes besides source, target, type and read_only."""

    subpath: str  #: of a volume: the folder in it; needs an engine that speaks API 1.45
    consistency: str | None  #: as docker takes it
    propagation: str | None  #: of a bind, as docker takes it
    no_copy: bool  #: of a volume: a new one is not filled with what the image has at `target`
    labels: Mapping[str, str] | None  #: of a volume that is new
    driver_config: Mapping[str, Any] | None  #: of a volume that is new: {"name": ..., "options": {...}}
    tmpfs_size: int | str | None  #: bytes, or text like "512m"
    tmpfs_mode: int | None  #: like 0o1777


_P = ParamSpec("_P")
_R = TypeVar("_R")


class _Constructors(type):
    """Of a way to make a mount that there is not, the error names those there are."""

    if not TYPE_CHECKING:  # to a type checker, only what `Mount` defines exists

        def __getattr__(cls, name: str) -> NoReturn:
            if name.startswith("_"):  # asked for by Python itself, which goes on without
                raise AttributeError(name)
            raise fault(
                f"Mount has no {name!r}{nearest(name, _WRITTEN_OTHERWISE)}",
                rule=Rule.UNKNOWN_ARGUMENT,
                fix=f"write Mount(source, target), {', '.join(_WRITTEN_OTHERWISE.values())}",
            )


def _told(make: Callable[_P, _R]) -> Callable[_P, _R]:
    """An argument that is missing or unknown is an error of the DAG file, with the way to write it."""

    @wraps(make)
    def called(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return make(*args, **kwargs)
        except TypeError as error:
            if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
                raise  # not the call itself: something in it
            missing = "missing" in str(error)
            raise fault(
                str(error),
                rule=Rule.MISSING_ARGUMENT if missing else Rule.UNKNOWN_ARGUMENT,
                fix=f"write {_WRITTEN_OTHERWISE[make.__name__]}",
            ) from error

    return called


class Mount(metaclass=_Constructors):
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
        **options: Unpack[MountOptions],
    ) -> None:
        if type in _WRITTEN_OTHERWISE:
            raise _misfit(f"type={str(type)!r} is written otherwise", fix=f"write {_WRITTEN_OTHERWISE[type]}")
        given = {"source": source, "target": target, "type": type, "read_only": read_only, **options}
        self.spec = _spec(_known(given))

    @classmethod
    @_told
    def root(cls, name: str, target: str, *, read_only: bool = False, atomic: bool = False) -> Self:
        """The data root `name`: a folder that the site maps, so that a DAG file holds no host path. With `atomic` a
        try sees an empty folder; what it wrote comes into the root once it has succeeded: files replace those of
        the same path, folders that are there already are merged, all else in the root stays."""
        if atomic and read_only:
            raise _misfit(f"Mount.root({name!r}): atomic excludes read_only", fix="leave one of the two out")
        return cls._of(container.MountType.ROOT, target, source=name, read_only=read_only, atomic=atomic)

    @classmethod
    @_told
    def run(cls, target: str, *, read_only: bool = False) -> Self:
        """The volume of the run: its tasks share it, any user may write to it, and it goes some time after the
        run's end."""
        return cls._of(container.MountType.RUN, target, read_only=read_only)

    @classmethod
    @_told
    def dag(cls, target: str, *, read_only: bool = False) -> Self:
        """The volume of the DAG: all its runs share it, and any user may write to it."""
        return cls._of(container.MountType.DAG, target, read_only=read_only)

    @classmethod
    def _of(cls, kind: container.MountType, target: str, **values: Any) -> Self:
        mount = cls.__new__(cls)
        mount.spec = _spec({"type": kind, "target": target, **values})
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
    flat: dict[str, Any] = {}
    for name, value in written.items():
        if name in ("BindOptions", "VolumeOptions", "TmpfsOptions") and isinstance(value, Mapping):
            flat |= {f"{name}.{inner}": each for inner, each in value.items()}
        else:
            flat[name] = value
    values = {_ENGINE_NAMES.get(name, name): value for name, value in flat.items()}
    if values.get("type") in _WRITTEN_OTHERWISE:
        raise _misfit(f"type={values['type']!r} is written otherwise", fix="see Mount.root, Mount.run, Mount.dag")
    return _known(values)


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the spec's fields; a name that no mount has is an error."""
    for name in values:
        if name not in _NAMES:
            raise fault(
                f"a mount has no argument {name!r}{nearest(str(name), _NAMES)}",
                rule=Rule.UNKNOWN_ARGUMENT,
                fix=f"it takes {', '.join(_NAMES)}",
            )
    driver = values.get("driver_config") or {}
    if not isinstance(driver, Mapping) or not {str(name).lower() for name in driver} <= _DRIVER_NAMES.keys():
        raise _misfit(f"driver_config is {driver!r}", fix='write {"name": ..., "options": {...}}')
    own = {_DRIVER_NAMES[str(name).lower()]: value for name, value in driver.items()}
    return {name: value for name, value in values.items() if name != "driver_config"} | own


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
    texts = with_texts("a mount", values, current_searchpath())
    given = {name: value for name, value in texts.items() if value is not None}
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


_WRITTEN_OTHERWISE: Mapping[str, str] = {
    container.MountType.ROOT: "Mount.root(name, target)",
    container.MountType.RUN: "Mount.run(target)",
    container.MountType.DAG: "Mount.dag(target)",
}


def _misfit(message: str, *, fix: str) -> Exception:
    return fault(message, rule=Rule.BAD_ARGUMENT, fix=fix)
