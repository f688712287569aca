"""Rules over single arguments: schedules, params, schemas, images, logs."""

import difflib
from collections.abc import Iterator

from msgspec import UNSET

from orchestrator.dagfiles.checks.checked import Checked
from orchestrator.dagfiles.schemas import unsound
from orchestrator.errors import TimetableError
from orchestrator.spec.dag import ManualSchedule, Problem
from orchestrator.spec.marks import has_templates
from orchestrator.spec.params import problems_of
from orchestrator.timetables.build import timetable_for


def bad_schedule(checked: Checked) -> Iterator[Problem]:
    try:
        timetable_for(checked.dag)
    except TimetableError as error:
        yield checked.found("bad_schedule", None, error.message, error.fix)


def param(checked: Checked) -> Iterator[Problem]:
    """A default that does not fit its own schema; and, where nobody is asked, one that is missing."""
    asked = isinstance(checked.dag.schedule, ManualSchedule)
    for task, params in ((None, checked.dag.params), *((task, task.params) for task in checked.dag.tasks)):
        for name, each in params.items():
            if asked and each.default in (None, UNSET):
                continue
            for words in problems_of({name: each}, {}):
                fix = "give it a default that fits" + ("" if asked else ": nobody is asked when a run is scheduled")
                yield checked.found("param", task, words, fix)


def never_takes_part(checked: Checked) -> Iterator[Problem]:
    """A task whose own dates leave it none of the dates of its DAG."""
    start, end = checked.dag.start_date, checked.dag.end_date
    for task in checked.dag.tasks:
        if task.start_date is not None and end is not None and task.start_date > end:
            text = (
                f"it starts ({task.start_date.date()}) after its DAG ends ({end.date()}): no scheduled run has it"
            )
            yield checked.found("never_takes_part", task, text, "correct one of the two dates")
        if task.end_date is not None and start is not None and task.end_date < start:
            text = (
                f"it ends ({task.end_date.date()}) before its DAG starts ({start.date()}): no scheduled run has it"
            )
            yield checked.found("never_takes_part", task, text, "correct one of the two dates")


def result_schema(checked: Checked) -> Iterator[Problem]:
    for task in checked.dag.tasks:
        if task.result_schema is None:
            continue
        if why := unsound(task.result_schema):
            text = f"result_schema is no JSON schema: {why}"
            yield checked.found("result_schema", task, text, "correct it; see https://json-schema.org")
        elif not task.push_result:
            text = "result_schema is for a result, and do_xcom_push=False keeps none"
            yield checked.found("result_schema", task, text, "leave one of the two out")


def image_tag(checked: Checked) -> Iterator[Problem]:
    for task, container in checked.containers():
        image = container.image
        if image is None or has_templates(image) or image in checked.task_images or "@" in image:
            continue
        if image in checked.bare_images:
            text, fix = f"task-images/{image} has no Dockerfile", "write one, beginning `FROM python:3.13-slim`"
            yield checked.found("image_tag", task, text, fix)
            continue
        _, colon, tag = image.rpartition("/")[2].partition(":")
        if colon and tag != "latest":
            continue
        near = difflib.get_close_matches(image, sorted(checked.task_images), n=1)
        fix = f"did you mean the task image {near[0]!r}?" if near else "name a version, as in python:3.13-slim"
        text = f"image {image!r} " + ("moves: latest is another one tomorrow" if colon else "has no tag")
        yield checked.found("image_tag", task, text, fix)


def log_rotation(checked: Checked) -> Iterator[Problem]:
    for task, container in checked.containers():
        for name in ("log_opts_max_size", "log_opts_max_file"):
            if getattr(container, name) is not None:
                text = f"{name}: what the engine throws away while no scheduler runs is missing in the task's log"
                yield checked.found("log_rotation", task, text, "leave it out: logs go with their container")
