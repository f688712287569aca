"""One rendering, in a worker: the facts of a try to its rendered template, or to the reason why not."""

from collections.abc import Callable

from orchestrator.dagfiles.ends import refusal
from orchestrator.dagfiles.wire import Done, Refused
from orchestrator.errors import RenderError
from orchestrator.ids import TaskKey
from orchestrator.planning.rows import Run
from orchestrator.ports import RenderFacts
from orchestrator.spec.dag import ContainerTemplate
from orchestrator.templating.context import PastRun, TemplateFacts, build_context
from orchestrator.templating.render import render


def render_try(facts: RenderFacts, ask: Callable[[TaskKey], bytes | None]) -> Done | Refused:
    """`ask` is called for each result that a template pulls."""
    run = facts.task.run
    context = build_context(template_facts(facts), lambda task_id: ask(TaskKey(run.dag_id, run.run_id, task_id)))
    try:
        return Done(container=render(facts.spec.container or ContainerTemplate(), context))
    except RenderError as error:
        return Refused(reason=refusal(facts, error.field, error.message, error.fix))


def template_facts(facts: RenderFacts) -> TemplateFacts:
    run = facts.run
    return TemplateFacts(
        dag_id=facts.task.dag_id,
        run_id=facts.task.run_id,
        task=facts.spec,
        map_index=facts.task.map_index,
        try_number=facts.try_number,
        run_type=run.run_type,
        note=run.note,
        conf=run.conf,
        start=run.interval.start,
        end=run.interval.end,
        started_at=run.started_at,
        next_start=facts.next_start,
        previous_start=facts.previous_start,
        previous_success=_past(facts.previous_success),
        timezone=facts.dag_timezone,
        dag_params=facts.dag_params,
        dag_tags=facts.dag_tags,
        dag_owner=facts.dag_owner,
        dag_file=facts.dag_file,
        test_mode=facts.test_mode,
        pins=facts.pins,
    )


def _past(run: Run | None) -> PastRun | None:
    if run is None:
        return None
    return PastRun(start=run.interval.start, end=run.interval.end, started_at=run.started_at)
