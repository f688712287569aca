"""One rendering, in a worker: the facts of a try to its rendered template, or to the reason why not."""

from collections.abc import Callable

import msgspec

from orchestrator.dagfiles.ends import refusal
from orchestrator.dagfiles.merging import check_handed, with_handed, with_written
from orchestrator.dagfiles.wire import Ask, Done, Instances, Refused, Told
from orchestrator.errors import RenderError
from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning.rows import Run
from orchestrator.ports import RenderFacts
from orchestrator.spec.assets import assets_in
from orchestrator.spec.dag import ContainerTemplate
from orchestrator.spec.secrets import SecretKind, Shown, StoredKey
from orchestrator.templating.context import build_context
from orchestrator.templating.control import render_control
from orchestrator.templating.facts import AssetFact, PastRun, TemplateFacts
from orchestrator.templating.render import render


def render_try(facts: RenderFacts, ask: Callable[[Ask], Told]) -> Done | Refused:
    """`ask` is called for the results that a template pulls, and for each variable and connection that it names."""

    def stored(kind: SecretKind, stored_id: str) -> Shown:
        told = ask(Ask(stored=StoredKey(kind=kind, id=stored_id))).data
        return msgspec.json.decode(told or b"{}", type=Shown)

    def result(key: TaskKey) -> bytes | None:
        return ask(Ask(key=key)).data

    def instances(run: RunKey, task_id: str, place: int | None) -> tuple[bytes, ...]:
        return ask(Ask(instances=Instances(run=run, task_id=task_id, place=place))).all

    context = build_context(template_facts(facts), result, stored, instances)
    template = facts.spec.container or ContainerTemplate()
    try:
        if facts.spec.control is not None:
            control = render_control(facts.spec.control, context, native=facts.dag.native)
            if facts.spec.map is not None:
                check_handed(facts.spec.control, context["element"])
            return Done(control=control)
        if facts.spec.map is None or facts.spec.function is not None:
            return Done(container=render(template, context, native=facts.dag.native))
        written = with_written(template, context["element"])
        rendered = render(written, context, native=facts.dag.native)
        return Done(container=with_handed(rendered, context["element"]))
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
        asset_events=_by_asset(facts),
        inlets=facts.spec.inlets,
        outlets=facts.spec.outlets,
        map=facts.map,
        mapped=facts.mapped,
        counts=facts.counts,
    )


def _by_asset(facts: RenderFacts) -> dict[str, list[AssetFact]]:
    """The events that the run consumed, by the names of their assets."""
    condition = facts.dag.condition
    uris = {} if condition is None else {each.name: each.uri for each in assets_in(condition)}
    found: dict[str, list[AssetFact]] = {}
    for event in facts.asset_events:
        told = AssetFact(
            asset=event.asset,
            uri=uris.get(event.asset),
            at=event.at,
            extra=msgspec.json.decode(event.extra),
            source=event.source,
            actor=event.actor,
        )
        found.setdefault(event.asset, []).append(told)
    return found


def _past(run: Run | None) -> PastRun | None:
    if run is None:
        return None
    return PastRun(run_id=run.key.run_id, start=run.interval.start, end=run.interval.end, started_at=run.started_at)
