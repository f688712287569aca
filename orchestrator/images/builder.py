"""Task images made present: the folder as it is now, its bases first, one build per tag at a time."""

import re
import tempfile
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

from orchestrator.clock import Clock
from orchestrator.errors import ImageError
from orchestrator.images.build import build
from orchestrator.images.calls import ImageApi, engine_calls
from orchestrator.images.catalog import Catalog, Hashes, Source, content_hashes
from orchestrator.images.content import pack
from orchestrator.images.dockerfile import rewrite
from orchestrator.images.once import Once, Progress
from orchestrator.images.resolve import ExternalImages, Local
from orchestrator.planning.rows import Reason
from orchestrator.ports import ImageRecord
from orchestrator.spec.dag import PullPolicy
from orchestrator.spec.value import Value
from orchestrator.states import ReasonCode

#: Labels of every task image: its folder, the two hashes of its content (`catalog`), and when it was built.
NAME_LABEL = "orchestrator.image.name"
HASH_LABEL = "orchestrator.image.hash"
SOURCE_LABEL = "orchestrator.image.source"
BUILT_LABEL = "orchestrator.image.built_at"

#: Build logs that are kept of one image.
_LOGS_KEPT = 20
#: The lines of the engine's builder that open a step.
_STEP = re.compile(r"Step (\d+)/(\d+) : (.*)")
_PULL_LIMIT = timedelta(minutes=10)


class Made(Value, frozen=True, kw_only=True):
    """An image that is there now, and its record where it was built for it."""

    local: Local
    record: ImageRecord | None = None


class Builder:
    """Builds what a `Catalog` holds. Any thread; at most `parallel` builds at one time. `built` hears of each."""

    def __init__(
        self,
        api: ImageApi,
        catalog: Catalog,
        external: ExternalImages,
        *,
        clock: Clock,
        home: Path,
        parallel: int,
        built: Callable[[ImageRecord], None],
    ) -> None:
        self._api = api
        self._catalog = catalog
        self._external = external
        self._clock = clock
        self._home = home
        self._built = built
        self._slots = threading.BoundedSemaphore(parallel)
        self._builds: Once[Made] = Once(clock)

    def hashes(self, sources: Mapping[str, Source]) -> dict[str, Hashes]:
        """Content hashes with the ids of the bases that are here now."""
        external = tuple({base: None for source in sources.values() for base in source.external})
        return content_hashes(sources, self._external.identities(external))

    def make(self, name: str, progress: Progress) -> Made:
        """The image of folder `name` as it is now, built if need be. `ImageError`, `EngineUnavailableError`."""
        sources = self._catalog.load([name])
        self._obtain_bases(sources[name], progress)
        hashes = self.hashes(sources)
        tag = str(hashes[name].tag)
        local = self._present(tag)
        if local:
            return Made(local=local)

        def work(tell: Progress) -> Made:
            return self._present_or_built(sources[name], hashes, tell)

        return self._builds.run(tag, work, progress)

    def _obtain_bases(self, source: Source, progress: Progress) -> None:
        for base in source.bases:
            try:
                self.make(base, progress)
            except ImageError as error:
                text = f"{source.name} is built from {base}: {error.message}"
                raise ImageError(error.code, text, wait=error.wait, fix=error.fix) from error
        for base in source.external:
            self._external.obtain(
                base, policy=PullPolicy.MISSING, platform=None, timeout=_PULL_LIMIT, progress=progress
            )

    def _present(self, tag: str) -> Local | None:
        inspected = self._api.find(tag)
        return Local(name=tag, inspected=inspected) if inspected else None

    def _present_or_built(self, source: Source, hashes: Mapping[str, Hashes], tell: Progress) -> Made:
        tag = str(hashes[source.name].tag)
        tell(Reason(code=ReasonCode.IMAGE_BUILDING, text=f"{source.name} waits for another build to end"))
        with self._slots:
            local = self._present(tag)  # another process may have built it
            if local:
                return Made(local=local)
            log = self._log_path(hashes[source.name])
            self._build(source, hashes, log, tell)
            local = self._present(tag)
        if local is None:
            raise ImageError(
                ReasonCode.IMAGE_BUILD_FAILED,
                f"the build of {source.name} ended well, and yet there is no {tag}",
                fix=f"see what else removes images on this engine, then `orchestrator images build {source.name}`",
            )
        record = self._record(hashes[source.name], local, log)
        self._built(record)
        return Made(local=local, record=record)

    def _build(self, source: Source, hashes: Mapping[str, Hashes], log: Path, tell: Progress) -> None:
        own = hashes[source.name]
        labels = {
            NAME_LABEL: own.name,
            HASH_LABEL: own.exact,
            SOURCE_LABEL: own.named,
            BUILT_LABEL: self._clock.now().isoformat(timespec="seconds"),
        }

        def say(line: str) -> None:
            step = _STEP.fullmatch(line)
            if step:  # all else is in the log
                text = f"building {own.name}, step {step[1]} of {step[2]}: {step[3]}"
                tell(Reason(code=ReasonCode.IMAGE_BUILDING, text=text))

        with tempfile.TemporaryFile() as context:
            digest = pack(source.folder, context, rewrite(source.dockerfile, self._froms(source, hashes)))
            if digest != source.digest:
                raise ImageError(
                    ReasonCode.IMAGE_BUILD_FAILED,
                    f"files of task-images/{own.name} changed while they were read",
                    fix="ask for it again once they are written",
                )
            context.seek(0)
            with engine_calls():
                build(
                    self._api.client(),
                    name=own.name,
                    tag=str(own.tag),
                    context=context,
                    labels=labels,
                    log_path=log,
                    tell=say,
                )

    def _froms(self, source: Source, hashes: Mapping[str, Hashes]) -> dict[str, str]:
        froms = {base: str(hashes[base].tag) for base in source.bases}
        for base in source.external:
            local = self._external.find(base)
            if local:
                froms[base] = local.name
        return froms

    def _log_path(self, own: Hashes) -> Path:
        folder = self._home / "builds"
        older = sorted(
            folder.glob(f"{own.name}-{'[0-9a-f]' * len(own.exact)}.log"), key=lambda log: log.stat().st_mtime
        )
        for log in older[: max(0, len(older) - _LOGS_KEPT + 1)]:
            log.unlink(missing_ok=True)
        return folder / f"{own.name}-{own.exact}.log"

    def _record(self, own: Hashes, local: Local, log: Path) -> ImageRecord:
        return ImageRecord(
            name=own.name,
            source_hash=own.exact,
            tag=str(own.tag),
            image_id=local.id,
            built_at=self._clock.now(),
            size=int(local.inspected.get("Size") or 0),
            log=log.relative_to(self._home).as_posix(),
        )
