"""One mount as a DAG file wrote it, to one that an engine knows; all but the names of volumes that belong to a run,
a DAG or a try, which are given with the try's identity. All functions are pure."""

import hashlib
import posixpath
import re
from collections.abc import Callable, Mapping

import msgspec

from orchestrator.errors import FinalizeError
from orchestrator.ids import (
    DAG_VOLUME_KIND,
    DEPLOYMENT_LABEL,
    KIND_LABEL,
    LABEL_PREFIX,
    OWNER_LABEL,
    RUN_VOLUME_KIND,
    TRY_LABEL,
    VOLUME_KIND,
    DeploymentId,
    TaskKey,
    dag_volume_name,
    home_deployment,
    is_identifier,
    run_volume_name,
)
from orchestrator.spec import quantities
from orchestrator.spec.container import Mount, MountType

#: Ours in every container that has no better place for the result.
PRIVATE_FOLDER = "/.orchestrator"
#: In a data root: what tries write that is not in its place yet.
STAGES_FOLDER = ".orchestrator-stages"
_VOLUME_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]+")
#: Which types of mounts an option is for.
_OPTION_OF: Mapping[str, tuple[MountType, ...]] = {
    "propagation": (MountType.BIND, MountType.ROOT),
    "atomic": (MountType.ROOT,),
    "subpath": (MountType.VOLUME, MountType.RUN, MountType.DAG),
    **dict.fromkeys(("no_copy", "labels", "driver", "driver_options"), (MountType.VOLUME,)),
    **dict.fromkeys(("tmpfs_size", "tmpfs_mode"), (MountType.TMPFS,)),
}
#: Types whose source follows from the type.
_SOURCELESS = (MountType.TMPFS, MountType.RUN, MountType.DAG)


def mounted(
    mount: Mount, project: str, engine_path: Callable[[str], str | None], root_path: Callable[[str], str]
) -> Mount:
    """The mount with its places settled; the places are those of `finalize.Site`. `FinalizeError`."""
    field = f"mounts[{mount.target!r}]"
    _refuse_misplaced_options(field, mount)
    target = place_of(f"{field}.target", mount.target)
    kind, source = mount.type, mount.source
    if kind in _SOURCELESS:
        if source:
            raise FinalizeError(f"{field}.source", f"a {kind} has none, not {source!r}", fix="leave source out")
    elif not source.strip():
        raise FinalizeError(f"{field}.source", "is empty", fix=f"name what is mounted at {target}")
    elif kind is MountType.BIND:
        source = _host_path(f"{field}.source", source, project, engine_path)
    elif kind is MountType.ROOT:
        if mount.atomic and mount.read_only:
            raise FinalizeError(f"{field}.atomic", "excludes read_only", fix="leave one of the two out")
        kind, source = _root(f"{field}.source", source, root_path)
    elif not _VOLUME_NAME.fullmatch(source):
        raise FinalizeError(
            f"{field}.source",
            f"{source!r} is no volume's name",
            fix='for a folder of the host write type="bind"; a volume\'s name has letters, digits and _.-',
        )
    size = quantities.size(f"{field}.tmpfs_size", mount.tmpfs_size)
    return msgspec.structs.replace(mount, type=kind, source=source, target=target, tmpfs_size=size)


def of_try(mount: Mount, deployment: DeploymentId, key: TaskKey, labels: Mapping[str, str]) -> Mount:
    """The mount of one try: volumes of ours have their names, and the labels that tell whose they are. `labels`
    are those of the try's container."""
    if mount.atomic:
        return msgspec.structs.replace(mount, stage=_stage(mount.target, labels[TRY_LABEL]))
    if mount.type in (MountType.BIND, MountType.TMPFS):
        return mount
    ours = {name: value for name, value in labels.items() if name.startswith(LABEL_PREFIX)}
    home, dag = {DEPLOYMENT_LABEL: str(home_deployment(deployment))}, {"orchestrator.dag_id": key.dag_id}
    name, own, made = mount.source, mount.labels, mount.no_copy
    if mount.type is MountType.RUN:
        run = {DEPLOYMENT_LABEL: str(deployment), KIND_LABEL: RUN_VOLUME_KIND, "orchestrator.run_id": key.run_id}
        name, own, made = run_volume_name(deployment, key.run), _owner(ours) | dag | run, True
    elif mount.type is MountType.DAG:
        own = home | dag | {KIND_LABEL: DAG_VOLUME_KIND}
        name, made = dag_volume_name(deployment, key.dag_id), True
    elif name:
        own = own | home | {KIND_LABEL: VOLUME_KIND}
    else:
        own = ours
    return msgspec.structs.replace(mount, type=MountType.VOLUME, source=name, labels=own, no_copy=made)


def _stage(target: str, try_id: str) -> str:
    """The folder of a try in a data root; one for each mount, were it twice the same root."""
    return f"{STAGES_FOLDER}/{try_id}-{hashlib.sha256(target.encode()).hexdigest()[:6]}"


def _owner(ours: Mapping[str, str]) -> dict[str, str]:
    """Which process a test belongs to, where it is one."""
    return {name: value for name, value in ours.items() if name == OWNER_LABEL}


def _root(field: str, name: str, root_path: Callable[[str], str]) -> tuple[MountType, str]:
    if not is_identifier(name):
        raise FinalizeError(field, f"{name!r} is no data root's name", fix="use letters, digits and ._-")
    place = root_path(name)
    return (MountType.BIND if place.startswith("/") else MountType.VOLUME), place


def _refuse_misplaced_options(field: str, mount: Mount) -> None:
    for option, kinds in _OPTION_OF.items():
        if getattr(mount, option) and mount.type not in kinds:
            raise FinalizeError(
                f"{field}.{option}", f"is nothing that a {mount.type} has", fix="leave it out, or correct type"
            )
    for name in mount.labels:
        if name.startswith(LABEL_PREFIX):
            raise FinalizeError(
                f"{field}.labels[{name!r}]",
                f"labels under {LABEL_PREFIX} are the orchestrator's",
                fix="choose another name",
            )


def _host_path(field: str, source: str, project: str, engine_path: Callable[[str], str | None]) -> str:
    """An absolute path is the engine's host's already; a relative one is ours."""
    if source.startswith("~"):
        raise FinalizeError(
            field, f"{source!r}: whose home is meant is not known", fix="write an absolute path, or use Mount.root"
        )
    if posixpath.isabs(source):
        return posixpath.normpath(source)
    own = posixpath.normpath(posixpath.join(project, source))
    path = engine_path(own)
    if path is None:
        raise FinalizeError(
            field,
            f"{own} is inside the scheduler's container, where the engine cannot find it",
            fix="mount its folder into that container, or use Mount.root or an absolute path of the engine's host",
        )
    return path


def absolute(field: str, path: str) -> str:
    """A path inside a container, in its shortest form; it must be absolute."""
    if not path.startswith("/"):
        problem = f"{path!r} is no absolute path in the container" if path.strip() else "is empty"
        raise FinalizeError(field, problem, fix="write one that begins with /, like /data")
    return "/" + posixpath.normpath(path).lstrip("/")


def place_of(field: str, path: str) -> str:
    """Where something may be mounted in a container."""
    target = absolute(field, path)
    if target == "/":
        raise FinalizeError(field, "the root of the container cannot be replaced", fix="mount at a folder in it")
    if inside(target, PRIVATE_FOLDER):
        raise FinalizeError(field, f"{PRIVATE_FOLDER} is the orchestrator's own", fix="choose another folder")
    return target


def inside(path: str, folder: str) -> bool:
    """Whether a path is a folder or lies in it."""
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")
