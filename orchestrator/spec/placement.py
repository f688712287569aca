"""What a container's file system is put together from: mounts, files copied in, and where the result goes
(spec images-and-engine 3). All functions are pure; all raise `FinalizeError`."""

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from orchestrator.errors import FinalizeError
from orchestrator.spec.artifacts import ArtifactId, OutputRef
from orchestrator.spec.container import ImageFacts, InputFile, Mount, MountType
from orchestrator.spec.dag import ContainerTemplate
from orchestrator.spec.mounting import PRIVATE_FOLDER, absolute, inside, mounted, place_of
from orchestrator.spec.outputs import read_patterns
from orchestrator.spec.sealing import has_secret_files, secret_files
from orchestrator.spec.secrets import SECRETS_FOLDER, SecretFile
from orchestrator.spec.value import Value

_RESULT_OF_ROOT = "/.orchestrator-result"
_RESULT_IN_TMP = "/tmp/.orchestrator-result"  # noqa: S108 - a path in a container, whose /tmp is its own
_OPEN_FOLDER = f"{PRIVATE_FOLDER}/open"
_ANYBODY_WRITES = 0o1777
_TMP_DIR = "/tmp/airflow"  # noqa: S108 - see above


#: For the argument's name and a reference to outputs: what is meant, by its path below the one that is named ("":
#: that one is a file). `FinalizeError` where nothing is.
Kept = Callable[[str, OutputRef], Mapping[str, ArtifactId]]


class Placement(Value, frozen=True, kw_only=True):
    """Where everything goes; `result_path` is where the task may write its result, whoever it runs as."""

    mounts: tuple[Mount, ...]
    tmpfs: dict[str, str]
    volumes: tuple[str, ...]
    files: tuple[InputFile, ...]
    secret_files: tuple[SecretFile, ...] = ()
    outputs: tuple[str, ...]
    result_path: str
    tmp_dir: str | None = None


def place(
    template: ContainerTemplate,
    *,
    image: ImageFacts,
    project: str,
    engine_path: Callable[[str], str | None],
    root_path: Callable[[str], str],
    kept: Kept,
) -> Placement:
    """Lay out the file system of one container. `project` is the absolute folder that relative bind sources
    mean, `engine_path` tells where the engine finds one of our paths, `root_path` gives a data root (`Site`);
    `kept` tells what other tasks kept."""
    temporary = _temporary(template)
    own = tuple(mounted(mount, project, engine_path, root_path) for mount in template.mounts)
    mounts = own + temporary
    tmpfs = {place_of("tmpfs", target): options for target, options in template.tmpfs.items()}
    _refuse_twice([mount.target for mount in mounts] + list(tmpfs))
    covered = {*(mount.target for mount in mounts), *tmpfs, *(posixpath.normpath(path) for path in image.volumes)}
    folder = _volume_of_secrets(template, covered)
    result_path, volumes, folders = _result(template, image, covered)
    inputs, sealed = _parted(template, image, _inputs(template, mounts, tmpfs, kept))
    return Placement(
        mounts=mounts,
        tmpfs=tmpfs,
        volumes=tuple(dict.fromkeys(filter(None, (folder, *volumes)))),
        files=folders + inputs,
        secret_files=(*secret_files(template, template.user or image.user, folder or "/"), *sealed),
        outputs=read_patterns(template.outputs, gone=[*tmpfs, *_memory(mounts)], moved=_atomic(mounts)),
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


def _volume_of_secrets(template: ContainerTemplate, covered: Iterable[str]) -> str:
    """Where the secrets need a volume of the try's own, because files put into the container's root would not be
    seen there, or cannot be put; empty where they need none."""
    if not has_secret_files(template):
        return ""
    for place in covered:
        if inside(place, SECRETS_FOLDER):
            raise FinalizeError(
                f"mounts[{place!r}]", f"{SECRETS_FOLDER} is where its secrets are", fix="mount at another folder"
            )
    hidden = any(inside(SECRETS_FOLDER, place) for place in covered)
    return SECRETS_FOLDER if template.read_only or hidden else ""


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


def _inputs(
    template: ContainerTemplate, mounts: tuple[Mount, ...], tmpfs: Iterable[str], kept: Kept
) -> tuple[InputFile, ...]:
    """Every file that is copied in, at most one for each path."""
    shelves = _shelves(template, mounts, tmpfs)
    files: dict[str, InputFile] = {}
    for name, source in template.inputs.items():
        field = f"inputs[{name!r}]"
        for path, file in _sources(field, name, source, kept):
            if path in files:
                raise FinalizeError(field, f"{path} is copied in twice", fix="give each file a path of its own")
            files[path] = msgspec.structs.replace(file, volume=shelves(field, path))
    return tuple(files.values())


def _parted(
    template: ContainerTemplate, image: ImageFacts, files: tuple[InputFile, ...]
) -> tuple[tuple[InputFile, ...], tuple[SecretFile, ...]]:
    """Files that are copied in as they are, and those that hold references."""
    sealed = {
        absolute(f"inputs[{name!r}]", name): template.sealed[f"inputs.{name}"]
        for name in template.inputs
        if f"inputs.{name}" in template.sealed
    }
    for file in files:
        if has_secret_files(template) and inside(file.path, SECRETS_FOLDER):
            raise FinalizeError(
                f"inputs[{file.path!r}]", f"{SECRETS_FOLDER} is where its secrets are", fix="copy it elsewhere"
            )
    owner = template.user or image.user
    secret = tuple(
        SecretFile(path=file.path, content=sealed[file.path], owner=owner, volume=file.volume)
        for file in files
        if file.path in sealed
    )
    return tuple(file for file in files if file.path not in sealed), secret


def _sources(field: str, name: str, source: str | OutputRef, kept: Kept) -> Iterator[tuple[str, InputFile]]:
    """One text, or what another task kept: a file, or all files of a folder, each at its place below the path."""
    place = absolute(field, name)
    if isinstance(source, str):
        if place == "/" or name.endswith("/"):
            raise FinalizeError(field, "is no path of one file", fix="give each file a path of its own")
        yield place, InputFile(path=place, data=source.encode())
        return
    for relative, artifact in kept(field, source).items():
        path = posixpath.normpath(posixpath.join(place, relative))
        if path == "/" or (not relative and name.endswith("/")):
            raise FinalizeError(field, "is no path of one file", fix="name the file that it is to be")
        yield path, InputFile(path=path, artifact=artifact)


def _memory(mounts: Iterable[Mount]) -> Iterator[str]:
    return (mount.target for mount in mounts if mount.type is MountType.TMPFS)


def _atomic(mounts: Iterable[Mount]) -> Iterator[str]:
    return (mount.target for mount in mounts if mount.atomic)


def _shelves(
    template: ContainerTemplate, mounts: tuple[Mount, ...], tmpfs: Iterable[str]
) -> Callable[[str, str], str]:
    """Where an engine has to be handed a file for a path: `/`, or the volume of a read-only container."""
    memory = {*tmpfs, *_memory(mounts)}
    disk = {mount.target: mount for mount in mounts if mount.type is not MountType.TMPFS}

    def shelf(field: str, path: str) -> str:
        holder = max((place for place in memory | disk.keys() if inside(path, place)), key=len, default=None)
        if holder in memory:
            raise FinalizeError(
                field, f"the tmpfs at {holder} would hide it", fix="copy it to a path outside every tmpfs"
            )
        if holder is not None and disk[holder].read_only:
            raise FinalizeError(field, f"the mount at {holder} is read-only", fix="copy it to another path")
        if holder is None and template.read_only:
            raise FinalizeError(
                field, "the container is read-only there", fix="mount a volume that covers it, or drop read_only"
            )
        return holder if holder is not None and template.read_only else "/"

    return shelf
