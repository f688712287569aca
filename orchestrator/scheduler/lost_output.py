"""Files that a container wrote where nothing keeps them: what the engine says it changed, but for what is ours, is
kept, or is left everywhere by programs and the engine."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from orchestrator.ids import ContainerId
from orchestrator.ports import Engine
from orchestrator.spec.artifacts import LostFile
from orchestrator.spec.container import ContainerSpec
from orchestrator.spec.mounting import PRIVATE_FOLDER, inside
from orchestrator.spec.outputs import covers

#: Files that are told by name, and those whose size is asked for at most.
_TOLD, _ASKED = 10, 40
#: Where programs, and the engine itself, leave what nobody looks for.
_SCRATCH = (
    "/tmp", "/var/tmp", "/run", "/var/run", "/var/lock",  # noqa: S108 - paths in containers
    "/var/cache", "/var/log", "/var/lib/apt", "/var/lib/dpkg", "/usr/lib/python3",
    "/dev", "/proc", "/sys", "/etc", "/.dockerenv", "/sbin/docker-init", "/usr/sbin/docker-init",
    PRIVATE_FOLDER,
)  # fmt: skip
_SCRATCH_NAMES = frozenset({"__pycache__", ".cache", ".pytest_cache", ".mypy_cache", ".npm", ".ipython"})


class LostFiles(NamedTuple):
    """Files that nothing keeps, and how many there are besides."""

    files: tuple[LostFile, ...] = ()
    more: int = 0


def lost_files(engine: Engine, container: ContainerId, spec: ContainerSpec) -> LostFiles:
    """What a container, running or not, has written so far that will go with it. Costs one call, and one more for
    each of the first files. `EngineError`, `NoSuchContainerError`, `EngineUnavailableError`."""
    paths = list(_unkept(engine.changed_paths(container), spec))
    sized = ((path, engine.file_size(container, path)) for path in paths[:_ASKED])
    files = tuple(islice((LostFile(path=path, size=size) for path, size in sized if size is not None), _TOLD))
    behind = paths.index(files[-1].path) + 1 if len(files) == _TOLD else min(len(paths), _ASKED)
    return LostFiles(files, len(paths) - behind)


def _unkept(changed: Iterable[str], spec: ContainerSpec) -> Iterator[str]:
    places = (*spec.volumes, *spec.tmpfs, *(mount.target for mount in spec.mounts))
    given = (*(file.path for file in spec.files), *(file.path for file in spec.secret_files))
    ours = {spec.result_path, spec.output_path, *given}
    for path in changed:
        scratch = _SCRATCH_NAMES & set(path.split("/")) or path.endswith(".pyc")
        held = any(inside(path, place) for place in (*places, *_SCRATCH))
        kept = any(covers(pattern, path) for pattern in spec.outputs)
        if path not in ours and not (scratch or held or kept):
            yield path
