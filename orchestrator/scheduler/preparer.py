"""From a queued task instance to a container spec: render its templates, get its image, settle every value.
All of it outside the loop, so that a slow template or a long build delays only who needs it.
"""

import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import msgspec
import structlog

from orchestrator.errors import (
    ArtifactsUnavailableError,
    AuthoringServerError,
    EngineUnavailableError,
    FinalizeError,
    ImageError,
    PolicyError,
    SecretError,
    SecretUnavailableError,
    StoreUnavailableError,
)
from orchestrator.ids import RunKey
from orchestrator.planning.changes import PinImages, Prepare
from orchestrator.planning.events import ControlPrepared, ImagesPinned, Prepared, PrepareDelayed, PrepareFailed
from orchestrator.planning.rows import Reason
from orchestrator.ports import RenderFacts
from orchestrator.scheduler.caching import Caches
from orchestrator.scheduler.facts import consumed_events, render_facts
from orchestrator.scheduler.image_gate import ImageGate, Waiter, Wanted, image_reason
from orchestrator.scheduler.inbox import Message
from orchestrator.scheduler.parts import Parts
from orchestrator.scheduler.patience import Patience
from orchestrator.scheduler.sources import Sources
from orchestrator.scheduler.unsealing import Unsealing, secret_reason
from orchestrator.scheduler.vigil import Vigil
from orchestrator.scheduler.workers import Workers
from orchestrator.spec.container import ImageFacts
from orchestrator.spec.control import Control
from orchestrator.spec.dag import ContainerTemplate, DagSpec, TaskSpec
from orchestrator.spec.finalize import finalize, has_templates
from orchestrator.spec.merging import needs_results, written_template
from orchestrator.states import ReasonCode

_log = structlog.get_logger()

T = TypeVar("T")

#: Nobody's failure: it is waited for.
_TROUBLE = (StoreUnavailableError, AuthoringServerError, EngineUnavailableError, ArtifactsUnavailableError)
#: Threads that render.
_RENDERERS = 4


class Preparer:
    """Answers `Prepare` and `PinImages` with events."""

    def __init__(
        self,
        parts: Parts,
        sources: Sources,
        unsealing: Unsealing,
        vigil: Vigil,
        *,
        post: Callable[[Message], None],
    ) -> None:
        self._renderer = parts.renderer
        self._images = parts.images
        self._caches = Caches(parts.store, parts.artifacts, parts.site.project, parts.clock)
        self._vigil = vigil
        self._gate = ImageGate(parts.images, parts.clock, vigil, unsealing.login, one_attempt=parts.test_mode)
        self._store = parts.store
        self._sources = sources
        self._unsealing = unsealing
        self._site = parts.site
        self._default_image = parts.settings.default_image
        self._post = post
        self._clock = parts.clock
        self._test_mode = parts.test_mode
        self._extra_labels = dict(parts.extra_labels)
        self._stop = threading.Event()
        self._rendering = Workers(_RENDERERS, "prepare")

    def prepare(self, effect: Prepare, dag: DagSpec) -> None:
        """Queue one preparation; answered by `Prepared` or `PrepareFailed`."""
        self._rendering.submit(lambda: self._guarded(effect, lambda: self._render(effect, dag)))

    def pin(self, effect: PinImages, dag: DagSpec) -> None:
        """Queue a look-up of image names, answered by `ImagesPinned`, and have the images got ahead."""
        self._rendering.submit(lambda: self._pin(effect, dag))

    def close(self) -> None:
        """Begin nothing more; a rendering, a pull or a build that is under way is not waited for."""
        self._stop.set()
        self._gate.close()
        self._rendering.close()

    def join(self, seconds: float) -> bool:
        until = self._clock.monotonic() + seconds
        rendered = self._rendering.join(seconds)
        return self._gate.join(max(until - self._clock.monotonic(), 0.0)) and rendered

    def _pin(self, effect: PinImages, dag: DagSpec) -> None:
        """A name that cannot be looked up stays unpinned; the task that needs it then fails with the reason."""
        pins: dict[str, str] = {}
        for name in effect.images:
            try:
                pins |= self._images.pin([name])
            except ImageError as error:
                _log.warning("image.not_pinned", image=name, error=error.message)
            except Exception:  # noqa: BLE001 - a thread's shell: logged, and the task that needs it fails
                _log.exception("image.not_pinned", image=name)
        self._post(ImagesPinned(run=effect.run, pins=pins))
        for task in dag.tasks:
            if task.container is not None and not has_templates(task.container.platform):
                pinned = pins.get(task.container.image or self._default_image)
                if pinned is not None:
                    self._gate.expect(_wanted(effect.run, pinned, task.container.platform, task))

    def _guarded(self, effect: Prepare, step: Callable[[], None]) -> None:
        """Do one step; whatever it raises fails this preparation and no other."""
        patience = Patience(self._clock, self._stop)
        while not self._stop.is_set():
            try:
                return step()
            except _TROUBLE as trouble:
                if patience.is_news():
                    _log.warning("prepare.waits", task=effect.task.key, trouble=trouble.message)
                reason = Reason(
                    code=ReasonCode.PREPARING, text=f"its container cannot be prepared now: {trouble.message}"
                )
                self._post(PrepareDelayed(task=effect.task.key, reason=reason))
                patience.wait()
            except ImageError as error:
                return self._fail(effect, image_reason(error))
            except SecretUnavailableError as trouble:
                self._post(PrepareDelayed(task=effect.task.key, reason=secret_reason(trouble)))
                patience.wait()
            except SecretError as error:
                return self._fail(effect, secret_reason(error))
            except FinalizeError as error:
                code = ReasonCode.POLICY if isinstance(error, PolicyError) else ReasonCode.RENDER_ERROR
                return self._fail(effect, Reason(code=code, text=error.sentence))
            except Exception as error:  # noqa: BLE001 - the shell of a loop: logged, and the work fails alone
                _log.exception("prepare.broke", task=effect.task.key)
                return self._fail(
                    effect, Reason(code=ReasonCode.RENDER_ERROR, text=f"preparing it broke: {error!r}")
                )
        return None

    def _fail(self, effect: Prepare, reason: Reason) -> None:
        task = effect.task
        self._post(PrepareFailed(task=task.key, number=effect.number, queued_at=task.queued_at, reason=reason))

    def _facts(self, effect: Prepare, dag: DagSpec) -> RenderFacts:
        return render_facts(
            dag,
            effect.run,
            effect.task,
            effect.spec,
            previous_success=self._store.last_success(effect.run.key.dag_id, effect.run.interval.start),
            asset_events=consumed_events(self._store, effect.run),
            result_count=partial(self._store.result_count, effect.run.key),
            test_mode=self._test_mode,
        )

    def _awake(self, render: Callable[[], T | Reason]) -> T | Reason:
        """What comes of a rendering; if it failed while nobody was awake, it had no time, and is done again."""
        wakings = self._vigil.wakings()
        rendered = render()
        slept = isinstance(rendered, Reason) and self._vigil.wakings() != wakings
        return render() if slept else rendered

    def _do_without(self, effect: Prepare, dag: DagSpec, written: Control) -> None:
        """Render what a task without a container is to do."""
        control: Control | Reason = written
        if has_templates(written):
            asked = (self._store.result, self._unsealing.shown, self._store.results)
            facts = self._facts(effect, dag)
            control = self._awake(lambda: self._renderer.render_control(facts, *asked))
        if isinstance(control, Reason):
            self._fail(effect, control)
        else:
            task = effect.task
            told = ControlPrepared(task=task.key, number=effect.number, queued_at=task.queued_at, control=control)
            self._post(told)

    def _render(self, effect: Prepare, dag: DagSpec) -> None:
        if effect.spec.control is not None:
            self._do_without(effect, dag, effect.spec.control)
            return
        template = written_template(effect.spec, effect.task.key.map_index)
        if has_templates(template) or needs_results(effect.spec):
            facts = self._facts(effect, dag)
            asked = (self._store.result, self._unsealing.shown, self._store.results)
            rendered = self._awake(lambda: self._renderer.render(facts, *asked))
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
        container = msgspec.structs.replace(template, image=name)
        waiter = Waiter(
            done=lambda got: self._guarded(effect, lambda: self._finish(effect, dag, container, pins, got)),
            delayed=lambda reason: self._post(PrepareDelayed(task=effect.task.key, reason=reason)),
        )
        self._gate.get(_wanted(effect.run.key, known or pins[name], template.platform, effect.spec), waiter)

    def _finish(
        self,
        effect: Prepare,
        dag: DagSpec,
        container: ContainerTemplate,
        pins: dict[str, str],
        image: ImageFacts | Reason,
    ) -> None:
        if isinstance(image, Reason):
            self._fail(effect, image)
            return
        if self._waits(effect, container, lambda: self._finish(effect, dag, container, pins, image)):
            return
        spec = finalize(
            container,
            dag=dag,
            task=effect.spec,
            run=effect.run,
            key=effect.task.key,
            image=image,
            site=self._site,
            kept=partial(self._sources.kept, effect.task.key),
        )
        self._unsealing.of(
            spec
        )  # once before it takes a slot, so that what is nowhere, or must be waited for, is told
        if any(mount.atomic for mount in spec.mounts):
            spec = msgspec.structs.replace(spec, promoter=self._promoter())
        if self._extra_labels:
            spec = msgspec.structs.replace(spec, labels=spec.labels | self._extra_labels)
        cache = self._caches.facts(effect, container, spec)
        self._post(
            Prepared(
                task=effect.task.key,
                number=effect.number,
                queued_at=effect.task.queued_at,
                spec=spec,
                pins=pins,
                cache=cache,
            )
        )

    def _promoter(self) -> str:
        """The id of the image that moves files into data roots: the default one, present from here on."""
        pinned = self._images.pin([self._default_image])[self._default_image]
        return self._images.ensure(pinned).id

    def _waits(self, effect: Prepare, template: ContainerTemplate, step: Callable[[], None]) -> bool:
        """Whether it waits for outputs of another task that are still being kept; the step follows then."""
        go_on = partial(self._rendering.submit, lambda: self._guarded(effect, step))
        awaited = self._sources.wait(effect.task.key, template.inputs, go_on)
        if awaited is not None:
            reason = Reason(code=ReasonCode.PREPARING, text=f"the outputs of {awaited.task_id} are being copied")
            self._post(PrepareDelayed(task=effect.task.key, reason=reason))
        return awaited is not None


def _wanted(run: RunKey, pinned: str, platform: str | None, task: TaskSpec) -> Wanted:
    return Wanted(
        run=run,
        pinned=pinned,
        platform=platform,
        pull=task.pull,
        timeout=task.pull_timeout,
        login=task.docker_conn_id,
    )
