"""`orchestrator dags`: what DAGs there are, whether their files are sound, and asking for runs."""

import json
from collections.abc import Collection, Sequence
from datetime import datetime, time
from typing import Any

import click
from msgspec import UNSET

from orchestrator.actions import Outcome
from orchestrator.app import App
from orchestrator.cli.check import check
from orchestrator.cli.explain import explain_dag
from orchestrator.cli.output import describe, duration, output_option, show, show_json
from orchestrator.cli.plan import next_in_words, next_runs, plan
from orchestrator.cli.session import located, open_app, read_conf, say, tell
from orchestrator.cli.trial import test
from orchestrator.queries import DagView
from orchestrator.spec.control import Approval, Control, External, Trigger
from orchestrator.spec.dag import Severity, TaskSpec
from orchestrator.spec.marks import has_templates
from orchestrator.spec.params import ParamSpec
from orchestrator.timetables import schedule_in_words


@click.group()
def dags() -> None:
    """List, check, test, trigger and pause DAGs."""


dags.add_command(check)
dags.add_command(test)
dags.add_command(explain_dag)
dags.add_command(next_runs)
dags.add_command(plan)


@dags.command("list")
@output_option
def list_dags(output: str | None) -> None:
    """Every DAG of this deployment."""
    app = open_app()
    with app.queries() as queries:
        views = queries.dags(app.clock.now())
        errors = [problem for problem in queries.problems() if problem.severity is Severity.ERROR]
    show(
        [_row(app, view, {problem.file for problem in errors}) for view in views],
        ["dag_id", "schedule", "paused", "state", "next_run", "last_run", "file"],
        output,
        empty="no DAGs yet: a scheduler (`orchestrator up`) reads them from dags/",
    )
    for problem in errors:
        say(str(located(app, problem)))


def _row(app: App, view: DagView, broken: Collection[str] = ()) -> dict[str, Any]:
    last = view.last_run
    return {
        "dag_id": view.dag.dag_id,
        "schedule": schedule_in_words(view.spec.schedule),
        "paused": view.dag.paused,
        "active": view.dag.active,
        "next_run": _next_words(app, view),
        "last_run": last and last.key.run_id,
        "state": last and last.state.value,
        "file": f"{view.dag.file} (broken now)" if view.dag.file in broken else view.dag.file,
        "tags": list(view.spec.tags),
        "description": view.spec.description,
        "version": view.dag.version,
    }


def _next_words(app: App, view: DagView) -> str:
    if not view.dag.active:
        return "inactive: its file is gone or broken"
    return "" if view.next_run is None else next_in_words(view.next_run, app.clock.now())


@dags.command("show")
@click.argument("dag_id")
@output_option
def show_dag(dag_id: str, output: str | None) -> None:
    """One DAG: its schedule and its tasks."""
    app = open_app()
    with app.queries() as queries:
        view = queries.dag(dag_id, app.clock.now())
    broken = _tell_broken(app, dag_id)
    if output == "json":
        show_json({"dag": view.dag, "spec": view.spec})
        return
    describe(_row(app, view, {view.dag.file} if broken else ()))
    click.echo()
    told = told_columns(view.spec.tasks)
    show([task_row(task) for task in view.spec.tasks], ["task_id", "after", "image", *told, "trigger_rule"], output)
    if view.spec.params:
        click.echo()
        show([param_row(*each) for each in view.spec.params.items()], ["param", "default", "must be"], output)


def _tell_broken(app: App, dag_id: str) -> bool:
    """Tell what is wrong with the DAG's file now, if anything is."""
    with app.queries() as queries:
        broken = queries.broken(dag_id)
    if broken:
        say(f"warning: {broken[0].file} is broken now; {dag_id} stays as it was before:")
    for problem in broken:
        say(f"    {located(app, problem)}")
    return bool(broken)


def param_row(name: str, param: ParamSpec) -> dict[str, Any]:
    """A param as a row; one without a default has to be given."""
    default = "(none: say it with --conf)" if param.default is UNSET else json.dumps(param.default)
    return {"param": name, "default": default, "must be": json.dumps(param.schema) if param.schema else "anything"}


def task_row(task: TaskSpec) -> dict[str, Any]:
    """A task as a row."""
    return {
        "task_id": task.task_id,
        "operator": task.operator,
        "after": list(task.upstream),
        "image": (task.container.image or "(default)") if task.container else "",
        "does": _does(task.control),
        "looks": _looks(task),
        "role": "teardown" if task.teardown else "setup" if task.setup else "",
        "dates": _dates(task),
        "trigger_rule": "" if task.teardown else task.trigger_rule.value,  # a teardown waits for all in its scope
        "retries": task.retry.retries,
        "pool": task.pool,
    }


def told_columns(tasks: Sequence[TaskSpec]) -> list[str]:
    """The columns that are told where something is in them: of setups and teardowns, and of tasks' own dates."""
    role = any(task.setup or task.teardown for task in tasks)
    dates = any(task.start_date or task.end_date for task in tasks)
    return [*(["role"] if role else []), *(["dates"] if dates else [])]


def _dates(task: TaskSpec) -> str:
    """Of which logical dates a task is, in words; nothing where of all."""
    start = "" if task.start_date is None else f"from {_day(task.start_date)}"
    end = "" if task.end_date is None else f"until {_day(task.end_date)}"
    return f"{start} {end}".strip()


def _day(moment: datetime) -> str:
    """A date, and the time (UTC) where it is not its beginning."""
    midnight = moment.time() == time()
    return moment.date().isoformat() if midnight else moment.isoformat(timespec="minutes")


def _does(control: Control | None) -> str:
    """What the scheduler itself does, in words."""
    match control:
        case Trigger():
            return f"triggers {_dag(control.dag_id)}{' and waits' if control.wait else ''}"
        case External():
            return f"waits for {_dag(control.dag_id)}"
        case Approval():
            return "waits for approval"
        case None:
            return ""


def _dag(dag_id: str) -> str:
    """A DAG by its id, as far as that is known before its template is rendered."""
    return "the DAG of its template" if has_templates(dag_id) else dag_id


def _looks(task: TaskSpec) -> str:
    """How a sensor looks, in words."""
    if task.sensor is None:
        return ""
    rarer = ", ever more rarely," if task.sensor.exponential_backoff else ""
    return f"every {duration(task.sensor.poke_interval)}{rarer} for {duration(task.sensor.timeout)}"


@dags.command()
@click.argument("dag_id")
@click.option("--logical-date", help="Names the interval that starts at or contains it. Default: the newest one.")
@click.option("--conf", help="A JSON object for the run's `conf`.")
@click.option("--note", help="A remark to keep with the run.")
@output_option
def trigger(dag_id: str, logical_date: str | None, conf: str | None, note: str | None, output: str | None) -> None:
    """Ask for a run now."""
    app = open_app()
    with app.actions() as actions:
        outcome = actions.trigger(dag_id, logical_date=logical_date, conf=read_conf(conf), note=note)
    _tell_broken(app, dag_id)
    _tell(outcome, output, "triggered")
    if outcome.answer and output != "json":
        say(f"watch it: orchestrator runs watch {dag_id} {outcome.answer.data['run_id']}")


@dags.command()
@click.argument("dag_id")
@click.option("--hold", is_flag=True, help="Start nothing new in open runs either.")
@output_option
def pause(dag_id: str, *, hold: bool, output: str | None) -> None:
    """No new scheduled runs; started ones finish."""
    with open_app().actions() as actions:
        _tell(actions.pause(dag_id, hold=hold), output, f"{dag_id} is {'on hold' if hold else 'paused'}")


@dags.command()
@click.argument("dag_id")
@output_option
def unpause(dag_id: str, output: str | None) -> None:
    """Scheduled runs again."""
    app = open_app()
    with app.actions() as actions:
        outcome = actions.unpause(dag_id)
    _tell_broken(app, dag_id)
    _tell(outcome, output, f"{dag_id} is not paused any more")


def _tell(outcome: Outcome, output: str | None, done: str) -> None:
    """What came of it, with the run that was made and what is to be warned of."""
    data = outcome.answer.data if outcome.answer else {}
    tell(outcome, output, f"{done} {data.get('run_id', '')}".rstrip())
    for warning in data.get("warnings", ()) if output != "json" else ():
        say(f"warning: {warning}")
