"""One task rendered outside any scheduler: `tasks render`. The same steps as the preparer's, one after another."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import msgspec

from orchestrator.app import App
from orchestrator.dagfiles.lookup import find_dag
from orchestrator.errors import EngineUnavailableError, ImageError, NotFoundError, RenderError, RequestRefusedError
from orchestrator.ids import UNMAPPED, Epoch, RunKey, TaskKey, TryId, TryKey
from orchestrator.planning.rows import AssetEvent, Reason, Run, TaskInstance, run_id
from orchestrator.planning.units import units_of
from orchestrator.ports import Images, RegistryLogin, Renderer, RenderFacts
from orchestrator.scheduler.facts import consumed_events, render_facts
from orchestrator.scheduler.sources import kept_files
from orchestrator.scheduler.unsealing import Unsealing
from orchestrator.spec.artifacts import ArtifactId, OutputRef
from orchestrator.spec.conf import conf_problem
from orchestrator.spec.container import ContainerSpec, ImageFacts
from orchestrator.spec.control import Control
from orchestrator.spec.dag import ContainerTemplate, DagSpec, TaskSpec, version_of
from orchestrator.spec.finalize import FinalizeError, Site, finalize, has_templates, with_try
from orchestrator.spec.interval import Interval
from orchestrator.spec.mapping import length
from orchestrator.spec.merging import needs_results, written_template
from orchestrator.states import RunState, RunType
from orchestrator.timetables import interval_by_hand, take_over, timetable_for, zone_named


def render_task(
    app: App,
    dag_id: str,
    task_id: str,
    *,
    date: str | None,
    map_index: int = UNMAPPED,
    conf: dict[str, Any] | None,
    build: bool,
    warn: Callable[[str], None],
) -> ContainerSpec | Control:
    """The container of a task for the interval that `date` names (None: the newest), or what it does without one.
    With `build` its image is made present; without, an image that is missing, or an engine, is only warned about.
    With `conf` None it is that of the newest run of the interval, whose results templates see. Of a mapped task
    `map_index` names the instance.

    Raises `NotFoundError`, `AuthoringError`, `RenderError`, `FinalizeError`, `ImageError`, `TimetableError`,
    `RequestRefusedError`, `SecretError`."""
    with app.authoring() as authoring:
        found = find_dag(app.project.dags_folder, authoring, dag_id)
        dag = take_over(found, app.project.settings.scheduling.bare_schedule)
        task = _task(dag, task_id, map_index)
        images = app.images(app.deployment(), build=build)
        interval = _interval(dag, date, app.clock.now(), warn)
        conf = _newest_conf(app, dag_id, interval, warn) if conf is None else conf
        if problem := conf_problem(dag, conf):
            raise RequestRefusedError(
                f"conf does not fit the params of {dag_id}: {problem}", fix="say it with --conf"
            )
        run = _run(dag, interval, conf, app.clock.now())
        if task.control is not None:
            return _done_without(app, authoring, dag, run, task, map_index)
        template = _rendered(app, authoring, dag, run, task, map_index)
    template = msgspec.structs.replace(template, image=template.image or app.project.settings.default_image)
    login = Unsealing(app.secrets()).login(task.docker_conn_id) if task.docker_conn_id and build else None
    facts = _image(images, str(template.image), task, None if build else warn, login)
    key = TaskKey(dag_id, run.key.run_id, task_id, map_index)
    kept = partial(_kept, app, interval, key, warn)
    made = partial(finalize, template, dag=dag, task=task, run=run, key=key, image=facts, kept=kept)
    try:
        spec = made(site=app.site())
    except EngineUnavailableError:
        if build:
            raise
        warn("warning: the engine is taken to find folders where they are here")
        spec = made(site=_here(app))
    if spec.entrypoint == () and spec.command is None:  # then an engine takes the image's command: say which
        spec = msgspec.structs.replace(spec, command=facts.command)
    return with_try(spec, deployment=app.deployment(), key=TryKey(key, 1), try_id=TryId("render"), epoch=Epoch(0))


def _kept(
    app: App, interval: Interval, task: TaskKey, warn: Callable[[str], None], field: str, wanted: OutputRef
) -> dict[str, ArtifactId]:
    """What the newest run of the interval kept; an output that is not there is only warned about."""
    problem = f"{field}: {wanted.task_id!r} has not run for this interval"
    for earlier in _runs_of(app, task.dag_id, interval):
        with app.store() as store:
            try:
                there = TaskKey(task.dag_id, earlier.key.run_id, task.task_id)
                return kept_files(store, app.artifacts(), there, field, wanted)
            except FinalizeError as error:
                problem = error.message
    warn(f"warning: {problem}; it is left out")
    return {}


def _here(app: App) -> Site:
    """The site as far as it is known without an engine; what it allows is then for the launch to say."""
    return Site(
        network=app.project.settings.engine.network,
        project=str(app.project.root),
        root_path=lambda name: str(app.project.data_root(name)),
    )


def _task(dag: DagSpec, task_id: str, map_index: int) -> TaskSpec:
    try:
        task = dag.task(task_id)
    except KeyError:
        raise NotFoundError(
            "task", f"{dag.dag_id}.{task_id}", fix=f"it has: {', '.join(each.task_id for each in dag.tasks)}"
        ) from None
    if task.container is None and task.control is None:
        what = f"{dag.dag_id}.{task_id} is an {task.operator}, of which nothing is rendered"
        raise RequestRefusedError(what, fix="name a task that runs a container, or has to do with other runs")
    unit = units_of(dag).get(task_id)
    mapped = unit is not None
    if mapped != (map_index >= 0):
        instance = f"{dag.dag_id}.{task_id}" + (f"[{map_index}]" if map_index >= 0 else "")
        fix = f"it is mapped: name an instance, as in {task_id}[0]" if mapped else "it is not mapped: leave it out"
        raise NotFoundError("task instance", instance, fix=fix)
    if unit is not None and not unit.results and map_index >= (count := length(unit.map, lambda _: 0)):
        instance = f"{dag.dag_id}.{task_id}[{map_index}]"
        raise NotFoundError("task instance", instance, fix=f"it is mapped over {count} elements, counted from 0")
    return task


def _interval(dag: DagSpec, date: str | None, now: datetime, warn: Callable[[str], None]) -> Interval:
    timetable = timetable_for(dag)
    interval = interval_by_hand(timetable, date, zone_named(dag.timezone), now)
    for doubt in timetable.doubts(interval, now):
        warn(f"warning: {doubt}")
    return interval


def _newest_conf(app: App, dag_id: str, interval: Interval, warn: Callable[[str], None]) -> dict[str, Any]:
    newest = next(iter(_runs_of(app, dag_id, interval)), None)
    if newest is None or not newest.conf:
        return {}
    warn(f"conf is that of the run {newest.key.run_id}")
    return newest.conf


def _run(dag: DagSpec, interval: Interval, conf: dict[str, Any], now: datetime) -> Run:
    return Run(
        key=RunKey(dag.dag_id, run_id(RunType.MANUAL, now)),
        run_type=RunType.MANUAL,
        state=RunState.RUNNING,
        version=version_of(dag),
        interval=interval,
        conf=conf,
        created_at=now,
    )


def _rendered(
    app: App, renderer: Renderer, dag: DagSpec, run: Run, task: TaskSpec, index: int
) -> ContainerTemplate:
    template = written_template(task, index)
    if not (has_templates(template) or needs_results(task)):
        return template
    earlier = _Earlier(app, run)
    facts = _facts(app, dag, run, task, index, earlier)
    rendered = renderer.render(facts, earlier.result, Unsealing(app.secrets()).shown, earlier.results)
    if isinstance(rendered, Reason):
        raise RenderError(rendered.text)
    return rendered


def _done_without(app: App, renderer: Renderer, dag: DagSpec, run: Run, task: TaskSpec, index: int) -> Control:
    """What a task does that runs no container."""
    earlier = _Earlier(app, run)
    facts = _facts(app, dag, run, task, index, earlier)
    rendered = renderer.render_control(facts, earlier.result, Unsealing(app.secrets()).shown, earlier.results)
    if isinstance(rendered, Reason):
        raise RenderError(rendered.text)
    return rendered


def _facts(app: App, dag: DagSpec, run: Run, task: TaskSpec, index: int, earlier: "_Earlier") -> RenderFacts:
    return render_facts(
        dag,
        run,
        TaskInstance(key=TaskKey(dag.dag_id, run.key.run_id, task.task_id, index)),
        task,
        previous_success=_previous(app, run),
        asset_events=_consumed(app, run),
        result_count=lambda task_id: len(earlier.results(run.key, task_id)),
        test_mode=False,
    )


def _image(
    images: Images,
    name: str,
    task: TaskSpec,
    warn: Callable[[str], None] | None,
    login: RegistryLogin | None,
) -> ImageFacts:
    """The image's facts; with `warn` one that is not there is only warned about."""
    pinned = name
    try:
        pinned = images.pin([name])[name]
        return images.ensure(pinned, pull=task.pull, timeout=task.pull_timeout, login=login)
    except (ImageError, EngineUnavailableError) as error:
        if warn is None or (isinstance(error, ImageError) and error.code != "image_missing"):
            raise
        warn(f"warning: {error.message}; the image is taken to run as root, with a command of its own")
        return ImageFacts(id=pinned)


def _consumed(app: App, run: Run) -> tuple[AssetEvent, ...]:
    """What assets' events the newest run of the interval was made for."""
    made = next(iter(_runs_of(app, run.key.dag_id, run.interval)), None)
    if made is None or not made.consumed:
        return ()
    with app.store() as store:
        return consumed_events(store, made)


def _previous(app: App, run: Run) -> Run | None:
    if not app.database.exists():
        return None
    with app.store() as store:
        return store.last_success(run.key.dag_id, run.interval.start)


class _Earlier:
    """Results as templates see them: those in the newest run of the same interval that has any of the task."""

    def __init__(self, app: App, run: Run) -> None:
        self._app = app
        self._runs = _runs_of(app, run.key.dag_id, run.interval)

    def result(self, key: TaskKey) -> bytes | None:
        for earlier in self._runs:
            with self._app.store() as store:
                found = store.result(TaskKey(key.dag_id, earlier.key.run_id, key.task_id, key.map_index))
            if found is not None:
                return found
        return None

    def results(self, _run: RunKey, task_id: str, place: int | None = None) -> tuple[bytes, ...]:
        for earlier in self._runs:
            with self._app.store() as store:
                found = store.results(earlier.key, task_id)
            if found:
                return found if place is None else found[place : place + 1]
        return ()


def _runs_of(app: App, dag_id: str, interval: Interval) -> tuple[Run, ...]:
    """The runs of an interval, the newest first; none where there is no database."""
    if not app.database.exists():
        return ()
    with app.store() as store:
        return store.runs_between(dag_id, interval.start, interval.start + timedelta(microseconds=1))
