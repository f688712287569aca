"""One rendering, in a worker: the facts of a try to its rendered template, or to the reason why not."""

from collections.abc import Callable

import msgspec

from orchestrator.dagfiles.ends import refusal
from orchestrator.dagfiles.wire import Done, Refused
from orchestrator.errors import RenderError
from orchestrator.ids import TaskKey
from orchestrator.planning.rows import Run
from orchestrator.ports import RenderFacts
from orchestrator.spec.dag import ContainerTemplate
from orchestrator.spec.secrets import SecretKind, Shown, StoredKey
from orchestrator.templating.context import build_context
from orchestrator.templating.facts import PastRun, TemplateFacts
from orchestrator.templating.render import render


def render_try(facts: RenderFacts, ask: Callable[[TaskKey | StoredKey], bytes | None]) -> Done | Refused:
    """`ask` is called for each result that a template pulls, and for each variable and connection that it names."""

    def stored(kind: SecretKind, stored_id: str) -> Shown:
        return msgspec.json.decode(ask(StoredKey(kind=kind, id=stored_id)) or b"{}", type=Shown)

    context = build_context(template_facts(facts), ask, stored)
    try:
        return Done(container=render(facts.spec.container or ContainerTemplate(), context, native=facts.dag.native))
    except RenderError as error:
        return Refused(reason=refusal(facts, error.field, error.message, error.fix))


def template_facts(facts: RenderFacts) -> TemplateFacts:
    run = facts.run
    return TemplateFacts(
        key=facts.task,
        dag=facts.dag,
        task=facts.spec,
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
        test_mode=facts.test_mode,
        pins=facts.pins,
        state=run.state,
        created_at=run.created_at,
        asset_events=facts.asset_events,
    )


def _past(run: Run | None) -> PastRun | None:
    if run is None:
        return None
    return PastRun(run_id=run.key.run_id, start=run.interval.start, end=run.interval.end, started_at=run.started_at)
