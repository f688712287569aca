"""From a queued task instance to a container spec: render its templates, get its image, settle every value.
All of it outside the loop, so that a slow template or a long build delays only who needs it.
"""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

import msgspec
import structlog

from orchestrator.clock import Clock
from orchestrator.errors import EngineUnavailableError, ImageError
from orchestrator.planning.changes import PinImages, Prepare
from orchestrator.planning.events import ImagesPinned, Prepared, PrepareDelayed, PrepareFailed
from orchestrator.planning.rows import Reason
from orchestrator.ports import Images, Renderer, Store
from orchestrator.scheduler.facts import render_facts
from orchestrator.scheduler.inbox import Message
from orchestrator.scheduler.patience import Patience
from orchestrator.spec.container import ImageFacts
from orchestrator.spec.dag import ContainerTemplate, DagSpec, PullPolicy
from orchestrator.spec.finalize import FinalizeError, Site, finalize, has_templates
from orchestrator.states import ReasonCode

_log = structlog.get_logger()

#: Threads that render; and that wait for images (each for one image at a time).
_RENDERERS = 4
_IMAGE_WAITERS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One preparation on its way; `container` is rendered, `pinned` names its image."""

    effect: Prepare
    dag: DagSpec
    container: ContainerTemplate
    pinned: str
    pins: dict[str, str]
    since: datetime

    @property
    def image_key(self) -> tuple[str, str, str]:
        """Jobs with equal keys wait for the same image in the same way."""
        run = self.effect.run.key.run_id if self.effect.spec.pull is PullPolicy.ALWAYS else ""
        return self.pinned, self.container.platform or "", run


class Preparer:
    """Answers `Prepare` and `PinImages` with events."""

    def __init__(
        self,
        renderer: Renderer,
        images: Images,
        store: Store,
        *,
        site: Site,
        default_image: str,
        post: Callable[[Message], None],
        clock: Clock,
        test_mode: bool = False,
        extra_labels: Mapping[str, str] | None = None,
    ) -> None:
        self._renderer = renderer
        self._images = images
        self._store = store
        self._site = site
        self._default_image = default_image
        self._post = post
        self._clock = clock
        self._test_mode = test_mode
        self._extra_labels = dict(extra_labels or {})
        self._stop = threading.Event()
        self._rendering = ThreadPoolExecutor(_RENDERERS, thread_name_prefix="prepare")
        self._fetching = ThreadPoolExecutor(_IMAGE_WAITERS, thread_name_prefix="image")
        self._lock = threading.Lock()
        self._facts: dict[tuple[str, str, str], ImageFacts] = {}
        self._waiting: dict[tuple[str, str, str], list[_Job]] = {}

    def prepare(self, effect: Prepare, dag: DagSpec) -> None:
        """Queue one preparation; answered by `Prepared` or `PrepareFailed`."""
        if not self._stop.is_set():
            self._rendering.submit(self._guarded, effect, self._render, effect, dag)

    def pin(self, effect: PinImages) -> None:
        """Queue a look-up of image names; answered by `ImagesPinned`."""
        if not self._stop.is_set():
            self._rendering.submit(self._pin, effect)

    def forget(self, image_id: str) -> None:
        """The engine has this image no more."""
        with self._lock:
            self._facts = {key: facts for key, facts in self._facts.items() if facts.id != image_id}

    def close(self) -> None:
        self._stop.set()
        for pool in (self._rendering, self._fetching):
            pool.shutdown(wait=False, cancel_futures=True)

    def _pin(self, effect: PinImages) -> None:
        """A name that cannot be looked up stays unpinned; the task that needs it then fails with the reason."""
        pins: dict[str, str] = {}
        for name in effect.images:
            try:
                pins |= self._images.pin([name])
            except ImageError as error:
                _log.warning("image.not_pinned", image=name, error=error.message)
            except Exception:  # noqa: BLE001 - the shell of a loop: logged, and the work fails alone
                _log.exception("image.not_pinned", image=name)
        self._post(ImagesPinned(run=effect.run, pins=pins))

    def _guarded(self, effect: Prepare, step: Callable[..., None], *arguments: object) -> None:
        """Do one step; whatever it raises fails this preparation and no other."""
        try:
            step(*arguments)
        except ImageError as error:
            self._fail(effect, Reason(code=ReasonCode(error.code), text=_words(error.message, error.fix)))
        except FinalizeError as error:
            self._fail(effect, Reason(code=ReasonCode.RENDER_ERROR, text=_words(error.message, error.fix)))
        except Exception as error:  # noqa: BLE001 - the shell of a loop: logged, and the work fails alone
            _log.exception("prepare.broke", task=effect.task.key)
            self._fail(effect, Reason(code=ReasonCode.RENDER_ERROR, text=f"preparing it broke: {error!r}"))

    def _fail(self, effect: Prepare, reason: Reason) -> None:
        self._post(PrepareFailed(task=effect.task.key, number=effect.number, reason=reason))

    def _render(self, effect: Prepare, dag: DagSpec) -> None:
        template = effect.spec.container or ContainerTemplate()
        if has_templates(template):
            facts = render_facts(
                dag,
                effect.run,
                effect.task,
                effect.spec,
                previous_success=self._store.last_success(effect.run.key.dag_id, effect.run.interval.start),
                test_mode=self._test_mode,
            )
            rendered = self._renderer.render(facts, self._store.result)
            if isinstance(rendered, Reason):
                self._fail(effect, rendered)
                return
            template = rendered
        name = self._default_image if template.image is None else template.image
        if not name.strip():
            self._fail(effect, Reason(code=ReasonCode.RENDER_ERROR, text="its image renders to nothing"))
            return
        known = (effect.run.images or {}).get(name)
        pins = {} if known else self._images.pin([name])
        job = _Job(
            effect=effect,
            dag=dag,
            container=msgspec.structs.replace(template, image=name),
            pinned=known or pins[name],
            pins=pins,
            since=self._clock.now(),
        )
        self._with_image(job)

    def _with_image(self, job: _Job) -> None:
        """Finish now if the image is known to be there, else join those who wait for it."""
        key = job.image_key
        with self._lock:
            facts, first = self._facts.get(key), False
            if facts is None:
                waiting = self._waiting.setdefault(key, [])
                waiting.append(job)
                first = len(waiting) == 1
        if facts is not None:
            self._finish(job, facts)
        elif first:
            self._fetching.submit(self._fetch, key)

    def _fetch(self, key: tuple[str, str, str]) -> None:
        facts = self._ensured(key)
        with self._lock:
            jobs = self._waiting.pop(key, [])
            if isinstance(facts, ImageFacts):
                self._facts[key] = facts
        for job in jobs:
            if isinstance(facts, ImageFacts):
                self._guarded(job.effect, self._finish, job, facts)
            elif facts is not None:
                self._fail(job.effect, facts)

    def _ensured(self, key: tuple[str, str, str]) -> ImageFacts | Reason | None:
        """The image's facts, or why it cannot be had; None when the process is stopping."""
        patience = Patience(self._clock, self._stop)
        while not self._stop.is_set():
            job = self._waiting[key][0]
            try:
                return self._images.ensure(
                    job.pinned,
                    pull=job.effect.spec.pull,
                    timeout=job.effect.spec.pull_timeout,
                    platform=job.container.platform,
                    progress=lambda reason: self._delayed(key, reason),
                )
            except ImageError as error:
                reason = Reason(code=ReasonCode(error.code), text=_words(error.message, error.fix))
                over = self._clock.now() - job.since > job.effect.spec.pull_timeout
                if not error.wait or over or self._test_mode:
                    return reason
                self._delayed(key, reason)
            except EngineUnavailableError as error:
                self._delayed(key, Reason(code=ReasonCode.ENGINE_DOWN, text=error.message))
            except Exception as error:  # noqa: BLE001 - the shell of a loop: logged, and the work fails alone
                _log.exception("image.broke", image=job.pinned)
                return Reason(code=ReasonCode.IMAGE_BUILD_FAILED, text=f"getting {job.pinned} broke: {error!r}")
            patience.wait()
        return None

    def _delayed(self, key: tuple[str, str, str], reason: Reason) -> None:
        with self._lock:
            jobs = tuple(self._waiting.get(key, ()))
        for job in jobs:
            self._post(PrepareDelayed(task=job.effect.task.key, reason=reason))

    def _finish(self, job: _Job, facts: ImageFacts) -> None:
        effect = job.effect
        spec = finalize(
            job.container,
            dag=job.dag,
            task=effect.spec,
            run=effect.run,
            key=effect.task.key,
            image=facts,
            site=self._site,
        )
        if self._extra_labels:
            spec = msgspec.structs.replace(spec, labels=spec.labels | self._extra_labels)
        self._post(Prepared(task=effect.task.key, number=effect.number, spec=spec, pins=job.pins))


def _words(message: str, fix: str) -> str:
    return f"{message}. {fix}" if fix else message
