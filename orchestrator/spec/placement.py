"""What a container's file system is put together from: mounts, files copied in, and where the result goes
(spec images-and-engine 3). All functions are pure; all raise `FinalizeError`."""

import posixpath
import re
from collections.abc import Callable, Iterable

from orchestrator.errors import FinalizeError
from orchestrator.ids import is_identifier
from orchestrator.spec.container import ImageFacts, InputFile, Mount, MountType
from orchestrator.spec.dag import ContainerTemplate
from orchestrator.spec.value import Value

#: Ours in every container that has no better place for the result.
PRIVATE_FOLDER = "/.orchestrator"
_RESULT_OF_ROOT = "/.orchestrator-result"
_RESULT_IN_TMP = "/tmp/.orchestrator-result"  # noqa: S108 - a path in a container, whose /tmp is its own
_OPEN_FOLDER = f"{PRIVATE_FOLDER}/open"
_ANYBODY_WRITES = 0o1777
_VOLUME_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]+")


class Placement(Value, frozen=True, kw_only=True):
    """Where everything goes; `result_path` is where the task may write its result, whoever it runs as."""

    mounts: tuple[Mount, ...]
    tmpfs: dict[str, str]
    volumes: tuple[str, ...]
    files: tuple[InputFile, ...]
    result_path: str


def place(
    template: ContainerTemplate,
    *,
    image: ImageFacts,
    project: str,
    engine_path: Callable[[str], str | None],
    root_path: Callable[[str], str],
) -> Placement:
    """Lay out the file system of one container. `project` is the absolute folder that relative bind sources
    mean, `engine_path` tells where the engine finds one of our paths, `root_path` gives a data root (`Site`)."""
    mounts = tuple(_mount(mount, project, engine_path, root_path) for mount in template.mounts)
    tmpfs = {_target("tmpfs", target): options for target, options in template.tmpfs.items()}
    _refuse_twice([mount.target for mount in mounts] + list(tmpfs))
    covered = {*(mount.target for mount in mounts), *tmpfs, *(posixpath.normpath(path) for path in image.volumes)}
    result_path, volumes, folders = _result(template, image, covered)
    return Placement(
        mounts=mounts,
        tmpfs=tmpfs,
        volumes=volumes,
        files=folders + _inputs(template, mounts, tmpfs),
        result_path=result_path,
    )


def _mount(
    mount: Mount, project: str, engine_path: Callable[[str], str | None], root_path: Callable[[str], str]
) -> Mount:
    field = f"mounts[{mount.target!r}]"
    target = _target(f"{field}.target", mount.target)
    kind, source = mount.type, mount.source
    if kind is MountType.TMPFS:
        if source:
            raise FinalizeError(f"{field}.source", f"a tmpfs has none, not {source!r}", fix="leave source out")
    elif not source.strip():
        raise FinalizeError(f"{field}.source", "is empty", fix=f"name what is mounted at {target}")
    elif kind is MountType.BIND:
        source = _host_path(f"{field}.source", source, project, engine_path)
    elif kind is MountType.ROOT:
        if not is_identifier(source):
            raise FinalizeError(
                f"{field}.source", f"{source!r} is no data root's name", fix="use letters, digits and ._-"
            )
        source = root_path(source)
        kind = MountType.BIND if source.startswith("/") else MountType.VOLUME
    elif not _VOLUME_NAME.fullmatch(source):
        raise FinalizeError(
            f"{field}.source",
            f"{source!r} is no volume's name",
            fix='for a folder of the host write type="bind"; a volume\'s name has letters, digits and _.-',
        )
    return Mount(type=kind, source=source, target=target, read_only=mount.read_only)


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


def _target(field: str, path: str) -> str:
    target = absolute(field, path)
    if target == "/":
        raise FinalizeError(field, "the root of the container cannot be replaced", fix="mount at a folder in it")
    if _inside(target, PRIVATE_FOLDER):
        raise FinalizeError(field, f"{PRIVATE_FOLDER} is the orchestrator's own", fix="choose another folder")
    return target


def _refuse_twice(targets: list[str]) -> None:
    for target in targets:
        if targets.count(target) > 1:
            raise FinalizeError("mounts", f"two of them stand at {target}", fix="give each its own target")


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def _result(
    template: ContainerTemplate, image: ImageFacts, covered: Iterable[str]
) -> tuple[str, tuple[str, ...], tuple[InputFile, ...]]:
    """Path of the result, anonymous volumes and folders it needs. Copying a folder in costs a call, so it is
    done only for users who could write nowhere else."""
    root = is_root(template.user or image.user)
    if template.read_only and root:
        return f"{PRIVATE_FOLDER}/result", (PRIVATE_FOLDER,), ()
    if template.read_only:  # a volume's own mode cannot be changed through the archive API, a folder's in it can
        opened = InputFile(path=_OPEN_FOLDER, volume=PRIVATE_FOLDER, mode=_ANYBODY_WRITES)
        return f"{_OPEN_FOLDER}/result", (PRIVATE_FOLDER,), (opened,)
    if root:
        return _RESULT_OF_ROOT, (), ()
    if image.world_writable_tmp and "/tmp" not in covered and _RESULT_IN_TMP not in covered:  # noqa: S108 - see above
        return _RESULT_IN_TMP, (), ()
    return f"{_OPEN_FOLDER}/result", (), (InputFile(path=_OPEN_FOLDER, mode=_ANYBODY_WRITES),)


def is_root(user: str) -> bool:
    """Whether an image's or a container's `user[:group]` is root; an empty one is."""
    return user.partition(":")[0] in ("", "0", "root")


def _inputs(template: ContainerTemplate, mounts: tuple[Mount, ...], tmpfs: dict[str, str]) -> tuple[InputFile, ...]:
    memory = {*tmpfs, *(mount.target for mount in mounts if mount.type is MountType.TMPFS)}
    kept = {mount.target: mount for mount in mounts if mount.type is not MountType.TMPFS}
    files: dict[str, InputFile] = {}
    for name, text in template.inputs.items():
        field = f"inputs[{name!r}]"
        path = absolute(field, name)
        if path == "/" or name.endswith("/") or path in files:
            raise FinalizeError(field, "is no path of one file", fix="give each file a path of its own")
        holder = max((place for place in memory | kept.keys() if _inside(path, place)), key=len, default=None)
        if holder in memory:
            raise FinalizeError(
                field, f"the tmpfs at {holder} would hide it", fix="copy it to a path outside every tmpfs"
            )
        if holder is not None and kept[holder].read_only:
            raise FinalizeError(field, f"the mount at {holder} is read-only", fix="copy it to another path")
        if holder is None and template.read_only:
            raise FinalizeError(
                field, "the container is read-only there", fix="mount a volume that covers it, or drop read_only"
            )
        volume = holder if holder is not None and template.read_only else "/"
        files[path] = InputFile(path=path, data=text.encode(), volume=volume)
    return tuple(files.values())
