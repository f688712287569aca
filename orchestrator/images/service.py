"""`DockerImages`: the images port over one Docker engine, and what `images build` and `images list` show."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta

from orchestrator.clock import Clock
from orchestrator.errors import EngineError, ImageError
from orchestrator.ids import DeploymentId
from orchestrator.images.builder import NAME_LABEL, SOURCE_LABEL, Builder
from orchestrator.images.calls import ImageApi, engine_calls
from orchestrator.images.catalog import Catalog, Hashes
from orchestrator.images.facts import FactsReader
from orchestrator.images.once import Progress
from orchestrator.images.references import TaskTag, parse_task_tag
from orchestrator.images.resolve import Architecture, ExternalImages, Local
from orchestrator.planning.rows import Reason
from orchestrator.ports import ImageRecord, RegistryLogin
from orchestrator.settings import Project
from orchestrator.spec.container import ImageFacts
from orchestrator.spec.dag import PullPolicy
from orchestrator.spec.value import Value
from orchestrator.states import ReasonCode

#: How an image fares that is nowhere.
_NOT_THERE = (ReasonCode.IMAGE_MISSING, ReasonCode.IMAGE_PULL_FAILED)


class BuildOutcome(Value, frozen=True, kw_only=True):
    """How one image of `images build` fared: `record` where it was built, `error` where it could not be,
    neither where it was there already."""

    name: str
    tag: str = ""
    record: ImageRecord | None = None
    error: str = ""


class ImageStatus(Value, frozen=True, kw_only=True):
    """One line of `images list`. `tag` is what the folder's content asks for; `built` says that the engine has
    it, `stale` that it has only older ones; `size` is bytes; `problem` is why there is no tag."""

    name: str
    tag: str = ""
    built: bool = False
    stale: bool = False
    size: int | None = None
    bases: tuple[str, ...] = ()
    problem: str = ""


class DockerImages:
    """Task images and external images on one engine. Any thread may call any method; `api` is shared.

    `built` hears of every image that was built here."""

    def __init__(
        self,
        api: ImageApi,
        project: Project,
        deployment: DeploymentId,
        clock: Clock,
        built: Callable[[ImageRecord], None] = lambda _: None,
    ) -> None:
        settings = project.settings.images
        self._api = api
        self._settings = settings
        self._catalog = Catalog(project.images_folder)
        self._external = ExternalImages(api, clock)
        self._architecture = Architecture(api)
        self._facts = FactsReader(api, deployment)
        self._builder = Builder(
            api,
            self._catalog,
            self._external,
            clock=clock,
            home=project.home,
            parallel=settings.parallel_builds,
            built=built,
        )

    def close(self) -> None:
        """Close the connections to the engine; idempotent."""
        self._api.close()

    # --- what the scheduler needs ------------------------------------------------------------------------

    def pin(self, names: Sequence[str]) -> dict[str, str]:
        """See `ports.Images`. An engine that cannot be asked makes no difference here."""
        ours = set(self._catalog.names())
        sources = self._catalog.load([name for name in dict.fromkeys(names) if name in ours])
        hashes = self._builder.hashes(sources)
        return {name: str(hashes[name].tag) if name in hashes else name for name in names}

    def ensure(
        self,
        pinned: str,
        *,
        pull: PullPolicy = PullPolicy.MISSING,
        platform: str | None = None,
        timeout: timedelta = timedelta(minutes=10),
        login: RegistryLogin | None = None,
        progress: Callable[[Reason], None] = lambda _: None,
    ) -> ImageFacts:
        """See `ports.Images`. `pull`, `timeout` and `login` concern external images."""
        task_tag = parse_task_tag(pinned)
        if task_tag:
            local = self._task_image(task_tag, progress)
        else:
            try:
                local = self._external.obtain(
                    pinned, policy=pull, platform=platform, timeout=timeout, login=login, progress=progress
                )
            except ImageError as error:
                raise self._misspelt(pinned, error) from error
        self._architecture.check(local, pinned, platform)
        with engine_calls():
            return self._facts.read(local.inspected)

    def _task_image(self, wanted: TaskTag, progress: Progress) -> Local:
        inspected = self._api.find(str(wanted))
        if inspected:
            return Local(name=str(wanted), inspected=inspected)
        if not self._is_current(wanted):
            return self._earlier(wanted)
        if self._settings.build == "never":
            raise ImageError(
                ReasonCode.IMAGE_MISSING,
                f"{wanted} is not on the engine, and images.build is never",
                fix=f"`orchestrator images build {wanted.name}`, or load it with `docker load`",
            )
        return self._builder.make(wanted.name, progress).local

    def _misspelt(self, name: str, error: ImageError) -> ImageError:
        """An image that cannot be had, with what of task-images/ may have been meant by its name."""
        hint = self._catalog.hint(name) if error.code in _NOT_THERE else ""
        if not hint:
            return error
        return ImageError(error.code, error.message, wait=error.wait, fix=f"{hint}; else {error.fix}")

    def _is_current(self, wanted: TaskTag) -> bool:
        if wanted.name not in self._catalog.names():
            return False
        own = self._builder.hashes(self._catalog.load([wanted.name]))[wanted.name]
        return wanted.hash in (own.exact, own.named)

    def _earlier(self, wanted: TaskTag) -> Local:
        """The image that was built for this tag when its base had come (`catalog`)."""
        labels = [f"{NAME_LABEL}={wanted.name}", f"{SOURCE_LABEL}={wanted.hash}"]
        with engine_calls():
            images = self._api.client().images(filters={"label": labels})
        newest = max(images, key=lambda image: int(image["Created"]), default=None)
        inspected = self._api.find(newest["Id"]) if newest else None
        if inspected is None:
            raise ImageError(
                ReasonCode.IMAGE_MISSING,
                f"{wanted} is not on the engine, and task-images/{wanted.name} is no longer what it was made of",
                fix="trigger a new run: it takes the image as it is now",
            )
        return Local(name=str(wanted), inspected=inspected)

    # --- what people ask for ----------------------------------------------------------------------------

    def build(
        self, names: Sequence[str] = (), *, progress: Callable[[str, Reason], None] = lambda _name, _reason: None
    ) -> tuple[BuildOutcome, ...]:
        """Build these task images (all where none is named) and their bases as far as they are not there,
        bases first, several at a time. One outcome per image, in that order; a failed one fails only what is
        built from it. `progress` hears the image's name and what happens, from any thread.
        `NotFoundError` for an unknown name; `ImageError` for a circle."""
        sources = self._catalog.load(names or self._catalog.names())
        outcomes: dict[str, Future[BuildOutcome]] = {}
        with ThreadPoolExecutor(max_workers=self._settings.parallel_builds) as pool:
            for name, source in sources.items():
                bases = tuple(outcomes[base] for base in source.bases)
                outcomes[name] = pool.submit(self._build_one, name, bases, progress)
        return tuple(outcome.result() for outcome in outcomes.values())

    def _build_one(
        self, name: str, bases: Sequence[Future[BuildOutcome]], progress: Callable[[str, Reason], None]
    ) -> BuildOutcome:
        broken = [base.result().name for base in bases if base.result().error]
        if broken:
            return BuildOutcome(name=name, error=f"not built: its base {broken[0]} could not be built")
        try:
            made = self._builder.make(name, lambda reason: progress(name, reason))
        except (ImageError, EngineError) as error:
            return BuildOutcome(name=name, error=str(error))
        return BuildOutcome(name=name, tag=made.local.name, record=made.record)

    def status(self) -> tuple[ImageStatus, ...]:
        """All task images, by name. `EngineUnavailableError`."""
        with engine_calls():
            images = self._api.client().images(filters={"label": [NAME_LABEL]})
        older = {image["Labels"][NAME_LABEL] for image in images}
        present = {tag: int(image["Size"]) for image in images for tag in image["RepoTags"] or ()}
        return tuple(self._status(name, older, present) for name in self._catalog.names())

    def _status(self, name: str, older: set[str], present: Mapping[str, int]) -> ImageStatus:
        try:
            sources = self._catalog.load([name])
            own: Hashes = self._builder.hashes(sources)[name]
        except ImageError as error:
            return ImageStatus(name=name, problem=str(error))
        tag = str(own.tag)
        return ImageStatus(
            name=name,
            tag=tag,
            built=tag in present,
            stale=tag not in present and name in older,
            size=present.get(tag),
            bases=sources[name].dockerfile.bases,
        )
