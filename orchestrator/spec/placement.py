"""What a container's file system is put together from: mounts, files copied in, and where the result goes
(spec images-and-engine 3). All functions are pure; all raise `FinalizeError`."""

import posixpath
from collections.abc import Callable, Iterable

from orchestrator.errors import FinalizeError
from orchestrator.spec.container import ImageFacts, InputFile, Mount, MountType
from orchestrator.spec.dag import ContainerTemplate
from orchestrator.spec.mounting import PRIVATE_FOLDER, absolute, inside, mounted, place_of
from orchestrator.spec.value import Value

_RESULT_OF_ROOT = "/.orchestrator-result"
_RESULT_IN_TMP = "/tmp/.orchestrator-result"  # noqa: S108 - a path in a container, whose /tmp is its own
_OPEN_FOLDER = f"{PRIVATE_FOLDER}/open"
_ANYBODY_WRITES = 0o1777
_TMP_DIR = "/tmp/airflow"  # noqa: S108 - see above


class Placement(Value, frozen=True, kw_only=True):
    """Where everything goes; `result_path` is where the task may write its result, whoever it runs as."""

    mounts: tuple[Mount, ...]
    tmpfs: dict[str, str]
    volumes: tuple[str, ...]
    files: tuple[InputFile, ...]
    result_path: str
    tmp_dir: str | None = None


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
    temporary = _temporary(template)
    own = tuple(mounted(mount, project, engine_path, root_path) for mount in template.mounts)
    mounts = own + temporary
    tmpfs = {place_of("tmpfs", target): options for target, options in template.tmpfs.items()}
    _refuse_twice([mount.target for mount in mounts] + list(tmpfs))
    covered = {*(mount.target for mount in mounts), *tmpfs, *(posixpath.normpath(path) for path in image.volumes)}
    result_path, volumes, folders = _result(template, image, covered)
    return Placement(
        mounts=mounts,
        tmpfs=tmpfs,
        volumes=volumes,
        files=folders + _inputs(template, mounts, tmpfs),
        result_path=result_path,
        tmp_dir=temporary[0].target if temporary else None,
    )


def _temporary(template: ContainerTemplate) -> tuple[Mount, ...]:
    """A volume of the try's own for temporary files."""
    if not template.mount_tmp_dir:
        return ()
    return (Mount(target=place_of("tmp_dir", template.tmp_dir or _TMP_DIR), no_copy=True),)


def _refuse_twice(targets: list[str]) -> None:
    for target in targets:
        if targets.count(target) > 1:
            raise FinalizeError("mounts", f"two of them stand at {target}", fix="give each its own target")


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
        holder = max((place for place in memory | kept.keys() if inside(path, place)), key=len, default=None)
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
