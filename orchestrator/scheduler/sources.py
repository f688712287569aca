"""Outputs of other tasks as inputs: which try of the run they are of, whether they are there yet, and which files
are meant."""

from collections.abc import Callable, Mapping, Sequence

from orchestrator.errors import FinalizeError
from orchestrator.ids import UNMAPPED, TaskKey
from orchestrator.planning.rows import Try
from orchestrator.ports import ArtifactStore, Store
from orchestrator.scheduler.harvester import Harvester
from orchestrator.spec.artifacts import ArtifactId, OutputRef
from orchestrator.spec.mounting import absolute, inside

#: Paths that a message names.
_NAMED = 5


class Sources:
    """Looks up what references to outputs mean for a task instance. Calls raise `StoreUnavailableError`,
    `ArtifactsUnavailableError`, and `FinalizeError` where a reference means nothing."""

    def __init__(self, store: Store, artifacts: ArtifactStore, harvester: Harvester) -> None:
        self._store = store
        self._artifacts = artifacts
        self._harvester = harvester

    def wait(
        self, task: TaskKey, inputs: Mapping[str, str | OutputRef], go_on: Callable[[], None]
    ) -> TaskKey | None:
        """Have `go_on` called once more outputs are there that these inputs need: of which task; None, and no call,
        where all are there."""
        for path, source in inputs.items():
            if isinstance(source, OutputRef):
                attempt = _try_of(self._store, f"inputs[{path!r}]", source, task)
                if attempt.removed_at is None and self._harvester.await_harvest(attempt, go_on):
                    return attempt.key.task
        return None

    def kept(self, task: TaskKey, field: str, wanted: OutputRef) -> dict[str, ArtifactId]:
        """The files that a reference means; see `kept_files`."""
        return kept_files(self._store, self._artifacts, task, field, wanted)


def kept_files(
    store: Store, artifacts: ArtifactStore, task: TaskKey, field: str, wanted: OutputRef
) -> dict[str, ArtifactId]:
    """The files that a reference means for a task instance, by their paths below the one that it names ("": that
    one is a file). Raises as `Sources` does."""
    attempt = _try_of(store, field, wanted, task)
    harvest = artifacts.harvest(attempt.key)
    if harvest is None:
        fix = f"run {wanted.task_id} again in this run"
        raise FinalizeError(field, f"what {wanted.task_id!r} kept is gone", fix=fix)
    place = absolute(field, wanted.path)
    paths = [artifact.path for artifact in harvest.artifacts]
    meant = [path for path in paths if inside(path, place)]
    if not meant:
        problem = f"{wanted.task_id!r} kept nothing at {place}; {_told(paths)}"
        raise FinalizeError(field, problem, fix="correct the path, or its outputs=")
    return {path[len(place) :].lstrip("/"): ArtifactId(attempt=attempt.key, path=path) for path in meant}


def _try_of(store: Store, field: str, wanted: OutputRef, task: TaskKey) -> Try:
    """The newest try of a task in the same run; of a mapped one, the one at the same index."""
    for index in dict.fromkeys((task.map_index, UNMAPPED)):
        tries = store.tries(TaskKey(task.dag_id, task.run_id, wanted.task_id, index))
        if tries and not tries[-1].spec.outputs:
            raise FinalizeError(field, f"{wanted.task_id!r} keeps no files", fix="name them in its outputs=")
        if tries:
            return tries[-1]
    fix = f"add the edge {wanted.task_id} >> {task.task_id}"
    raise FinalizeError(field, f"{wanted.task_id!r} has not run in this run", fix=fix)


def _told(paths: Sequence[str]) -> str:
    """`it kept /a, /b`"""
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return f"it kept {', '.join(paths[:_NAMED])}{more}" if paths else "it kept no files at all"
