"""Whether a task's next try need not run: what its result depends on is the same as for an earlier one."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from orchestrator.clock import Clock
from orchestrator.errors import FinalizeError
from orchestrator.ids import TryKey
from orchestrator.planning.changes import Prepare
from orchestrator.planning.rows import CacheFacts, Reused, Try
from orchestrator.ports import ArtifactStore, Store
from orchestrator.spec.artifacts import ArtifactId, Harvest
from orchestrator.spec.caching import CachePolicy, differing, key_of, part
from orchestrator.spec.container import ContainerSpec, InputFile
from orchestrator.spec.dag import ContainerTemplate, TaskSpec


class Caches:
    """Looks for earlier tries. `project` is the folder of the project's files."""

    def __init__(self, store: Store, artifacts: ArtifactStore, project: str, clock: Clock) -> None:
        self._store = store
        self._artifacts = artifacts
        self._project = Path(project)
        self._clock = clock

    def facts(self, effect: Prepare, template: ContainerTemplate, spec: ContainerSpec) -> CacheFacts | None:
        """What is known of the next try's cache, None where its task has none. What an earlier try kept is kept for
        this one too, before anybody hears that it is used again. Raises `StoreUnavailableError`,
        `ArtifactsUnavailableError`, and `FinalizeError` where a file that the cache names is not there."""
        if template.cache is None:
            return None
        parts = self._parts(template, template.cache, spec, effect.spec)
        key, task = key_of(parts), effect.task.key
        same = self._store.reusable(task.dag_id, task.task_id, key)
        if same is None:
            return CacheFacts(key=key, parts=parts, note=self._why_not(effect, parts))
        too_old = _too_old(same, template.cache, self._clock.now())
        if too_old or not self._kept(same, TryKey(task, effect.number)):
            why = f"is older than max_age={template.cache.max_age}" if too_old else "kept files that are gone"
            return CacheFacts(key=key, parts=parts, note=f"not cached: {_named(same)} came to the same, but {why}")
        result = self._store.result(same.key.task)
        again = self._store.reusable(task.dag_id, task.task_id, key)
        if again is None or again.try_id != same.try_id:  # it was cleared meanwhile: the result may be another's
            return CacheFacts(key=key, parts=parts, note=f"not cached: {_named(same)} is not the newest any more")
        note = f"cached: {_named(same)} came to the same"
        return CacheFacts(key=key, parts=parts, note=note, reused=Reused(attempt=same.key, result=result))

    def _why_not(self, effect: Prepare, parts: Mapping[str, str]) -> str:
        newest = self._store.reusable(effect.task.key.dag_id, effect.task.key.task_id, None)
        if newest is None:
            return "not cached: no earlier try with a cache has succeeded"
        return f"not cached: {differing(parts, newest.cache_parts)} differs from {_named(newest)}"

    def _parts(
        self, template: ContainerTemplate, cache: CachePolicy, spec: ContainerSpec, task: TaskSpec
    ) -> dict[str, str]:
        """What we tell every container of its run is no part: it would never be the same. Secrets are, by name."""
        written = {*template.environment, *template.env_file, *template.private_environment}
        shown = {name: value for name, value in spec.environment.items() if name in written}
        kept = (spec.outputs, spec.result_path is not None, spec.output_path, task.result_from, task.result_schema)
        return {
            "image": part(spec.image),
            "command": part([spec.entrypoint, spec.command]),
            "environment": part([shown, spec.secret_environment, spec.secret_files]),
            "settings": part([spec.user, spec.working_dir]),
            "files": part([self._given(file) for file in spec.files if file.data is not None or file.artifact]),
            "inputs": part(dict(self._inputs(cache))),
            "outputs": part([*kept, task.multiple_outputs]),
            "key_extra": part(cache.key_extra),
        }

    def _given(self, file: InputFile) -> tuple[str, int, str]:
        """A file that is copied in, by its content."""
        if file.artifact is not None:
            return file.path, file.mode, self._content_of(file.artifact)
        return file.path, file.mode, hashlib.sha256(file.data or b"").hexdigest()

    def _content_of(self, wanted: ArtifactId) -> str:
        harvest = self._artifacts.harvest(wanted.attempt)
        for kept in harvest.artifacts if harvest else ():
            if kept.path == wanted.path:
                return kept.sha256
        task_id = wanted.attempt.task.task_id
        raise FinalizeError("inputs", f"what {task_id!r} kept at {wanted.path} is gone", fix=f"clear {task_id}")

    def _inputs(self, cache: CachePolicy) -> Iterator[tuple[str, str]]:
        """Path and content of every file of the project that the cache names."""
        for pattern in cache.inputs:
            found = sorted(self._files(pattern))
            if not found:
                problem = f"inputs has {pattern!r}, and the project has no such file"
                raise FinalizeError(
                    "cache", problem, fix="write a path, or a pattern, from the project's folder on"
                )
            for path in found:
                with path.open("rb") as file:
                    yield (
                        path.relative_to(self._project).as_posix(),
                        hashlib.file_digest(file, "sha256").hexdigest(),
                    )

    def _files(self, pattern: str) -> Iterator[Path]:
        """Files, and those in folders, that a pattern means."""
        parts = Path(pattern).parts
        if Path(pattern).is_absolute() or ".." in parts or not parts:
            raise FinalizeError(
                "cache", f"inputs has {pattern!r}, which leads out of the project", fix="correct it"
            )
        for path in self._project.glob(pattern):
            yield from (each for each in (path.rglob("*") if path.is_dir() else (path,)) if each.is_file())

    def _kept(self, same: Try, key: TryKey) -> bool:
        """Keep for a new try what an earlier one kept; whether it is there."""
        if not same.spec.outputs:
            return True
        harvest = self._artifacts.harvest(same.key)
        if harvest is None:
            return False
        draft = self._artifacts.draft(key)
        try:
            for artifact in harvest.artifacts:
                with self._artifacts.open(ArtifactId(attempt=same.key, path=artifact.path)) as content:
                    draft.add(artifact.path, content, mode=artifact.mode)
            draft.commit(Harvest(try_id=same.try_id, at=self._clock.now(), notes=harvest.notes))
        finally:
            draft.discard()
        return True


def _named(attempt: Try) -> str:
    return f"try {attempt.key.number} in run {attempt.key.task.run_id}"


def _too_old(attempt: Try, cache: CachePolicy, now: datetime) -> bool:
    return cache.max_age is not None and attempt.ended_at is not None and now - attempt.ended_at > cache.max_age
