"""The checks of a parsed DAG (spec authoring 2): one small function for each rule, and a table of them."""

import ast
import difflib
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property

from msgspec import UNSET

from orchestrator.dagfiles.elements import element_texts
from orchestrator.dagfiles.schemas import unsound
from orchestrator.dagfiles.secret_signs import literal_secrets
from orchestrator.errors import RenderError, TimetableError
from orchestrator.planning.units import Unit, units_of
from orchestrator.spec.dag import ContainerTemplate, DagSpec, ManualSchedule, Problem, Severity, TaskSpec
from orchestrator.spec.marks import has_templates
from orchestrator.spec.outputs import covers
from orchestrator.spec.params import problems_of
from orchestrator.states import TriggerRule
from orchestrator.templating.fields import strings
from orchestrator.templating.names import NAMES, nearest
from orchestrator.templating.static import StaticTemplate
from orchestrator.templating.stored import may_hold_secrets
from orchestrator.timetables.build import timetable_for

_SHELLS = frozenset({"sh", "ash", "bash", "dash", "ksh", "zsh"})
_TEMPLATE_PARTS = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_SINGLE_QUOTED = re.compile(r"'[^']*'")
_SINGLE_BRACE = re.compile(r"(?<![{$\w])\{\s*(\w+)\s*\}(?!\})")
_EXPANSION = re.compile(r"(?<!\\)\$[A-Za-z_({]")
_MOVING = frozenset({"now", "utcnow", "today", "days_ago", "yesterday"})


class Checked:
    """A DAG, the source it came from, and what several rules look at."""

    def __init__(self, dag: DagSpec, source: ast.Module, task_images: frozenset[str]) -> None:
        self.dag = dag
        self.source = source
        self.task_images = task_images

    def containers(self) -> Iterator[tuple[TaskSpec, ContainerTemplate]]:
        yield from ((task, task.container) for task in self.dag.tasks if task.container is not None)

    def texts(self) -> Iterator[tuple[TaskSpec, str, str]]:
        """Task, field and text of every string of every container, and of what tasks are expanded over."""
        for task, container in self.containers():
            yield from ((task, field, text) for field, text in strings(container))
        for unit in {unit.name: unit for unit in self.units.values()}.values():
            task = self.dag.task(unit.tasks[0])
            yield from ((task, field, text) for field, text in dict.fromkeys(element_texts(unit, task)))

    @cached_property
    def units(self) -> Mapping[str, Unit]:
        """What is expanded as one, by the ids of its tasks."""
        return units_of(self.dag)

    @cached_property
    def read(self) -> tuple[tuple[TaskSpec, StaticTemplate | RenderError], ...]:
        """Every template, read; those whose syntax is wrong as their error."""
        return tuple((task, _read(field, text)) for task, field, text in self.texts() if has_templates(text))

    def templates(self) -> Iterator[tuple[TaskSpec, StaticTemplate]]:
        yield from ((task, template) for task, template in self.read if isinstance(template, StaticTemplate))

    def upstream(self, task: TaskSpec) -> frozenset[str]:
        """All tasks before this one, direct or not."""
        parents = {each.task_id: each.upstream for each in self.dag.tasks}
        found: set[str] = set()
        ahead = list(task.upstream)
        while ahead:
            task_id = ahead.pop()
            if task_id not in found:
                found.add(task_id)
                ahead += parents[task_id]
        return frozenset(found)


def check(dag: DagSpec, source: ast.Module, task_images: frozenset[str]) -> Iterator[Problem]:
    """Everything that is wrong or doubtful about one DAG. `task_images` are the folders in `task-images/`."""
    checked = Checked(dag, source, task_images)
    for rule in RULES:
        yield from rule(checked)


def bad_schedule(checked: Checked) -> Iterator[Problem]:
    try:
        timetable_for(checked.dag)
    except TimetableError as error:
        yield _error(checked, None, "bad_schedule", error.message, error.fix)


def template_syntax(checked: Checked) -> Iterator[Problem]:
    for task, fault in checked.read:
        if isinstance(fault, RenderError):
            yield _error(
                checked, task, "template_syntax", f"{fault.field}: {fault.message}", "correct the template"
            )


def template_name(checked: Checked) -> Iterator[Problem]:
    for task, template in checked.templates():
        for words in template.unknown_names(checked.dag.macros):
            yield _error(checked, task, "template_name", f"{template.field}: {words}", "use a name of the context")
        for words in template.unknown_params({**checked.dag.params, **task.params}):
            fix = "add it to params= of the DAG or the task, or read dag_run.conf"
            yield _error(checked, task, "template_name", f"{template.field}: {words}", fix)


def element_name(checked: Checked) -> Iterator[Problem]:
    for task, template in checked.templates():
        unit = checked.units.get(task.task_id)
        axes = () if unit is None else unit.map.axes
        known = [axis.argument for axis in axes if axis.argument is not None]
        for name in template.element_names():
            if unit is None:
                text = f"{template.field}: element({name!r}) is for mapped tasks, and this is none"
                yield _error(checked, task, "element_name", text, "map it with .partial(...).expand(...)")
            elif name not in known and len(known) == len(axes):
                text = f"{template.field}: it is not mapped over {name!r}{nearest(name, known)}"
                yield _error(checked, task, "element_name", text, "name what .expand(...) names")


def param(checked: Checked) -> Iterator[Problem]:
    """A default that does not fit its own schema; and, where nobody is asked, one that is missing."""
    asked = isinstance(checked.dag.schedule, ManualSchedule)
    for task, params in ((None, checked.dag.params), *((task, task.params) for task in checked.dag.tasks)):
        for name, each in params.items():
            if asked and each.default in (None, UNSET):
                continue
            for words in problems_of({name: each}, {}):
                fix = "give it a default that fits" + ("" if asked else ": nobody is asked when a run is scheduled")
                yield _error(checked, task, "param", words, fix)


def macro_name(checked: Checked) -> Iterator[Problem]:
    for name in sorted(checked.dag.macros.keys() & NAMES):
        text = f"user_defined_macros: {name!r} is a name that every template has"
        yield _error(checked, None, "macro_name", text, "give it another name")


def result_schema(checked: Checked) -> Iterator[Problem]:
    for task in checked.dag.tasks:
        if task.result_schema is None:
            continue
        if why := unsound(task.result_schema):
            text = f"result_schema is no JSON schema: {why}"
            yield _error(checked, task, "result_schema", text, "correct it; see https://json-schema.org")
        elif not task.push_result:
            text = "result_schema is for a result, and do_xcom_push=False keeps none"
            yield _error(checked, task, "result_schema", text, "leave one of the two out")


def literal_secret(checked: Checked) -> Iterator[Problem]:
    for task, container in checked.containers():
        texts = ((field, text) for each, field, text in checked.texts() if each is task)
        for field, what in dict.fromkeys(literal_secrets(container, texts)):
            text = f"{field}: {what} stands in the file, and is stored and shown with the DAG"
            fix = 'keep it where secrets are kept, and write secrets=[Secret("id", env="NAME")]'
            yield _error(checked, task, "literal_secret", text, fix)


def secret_in_command(checked: Checked) -> Iterator[Problem]:
    for task, template in checked.templates():
        if may_hold_secrets(template.field):
            continue
        for name in template.secret_names():
            text = f"{template.field}: {name} is secret, and everybody who may see the container sees it here"
            fix = 'give it to the task itself: secrets=[Secret("id", env="NAME")], connections=["id"], or inputs='
            yield _error(checked, task, "secret_in_command", text, fix)


def single_brace(checked: Checked) -> Iterator[Problem]:
    for task, field, text in checked.texts():
        for name in _SINGLE_BRACE.findall(_TEMPLATE_PARTS.sub("", text)):
            if name in NAMES:
                yield _warning(
                    checked, task, "single_brace", f"{field}: {{{name}}} is plain text", f"write {{{{ {name} }}}}"
                )


def shell_syntax(checked: Checked) -> Iterator[Problem]:
    for task, container in checked.containers():
        command = container.command
        if isinstance(command, str) and (sign := _shell_sign(_TEMPLATE_PARTS.sub("x", command))):
            yield _warning(
                checked,
                task,
                "shell_syntax",
                f"command: no shell reads this, so {sign!r} is handed to the program as it is",
                f'write script="{command}"',
            )


def data_in_command(checked: Checked) -> Iterator[Problem]:
    for task, template in checked.templates():
        if _read_as_code(task.container or ContainerTemplate(), template.field) and template.carries_data():
            yield _warning(
                checked,
                task,
                "data_in_command",
                f"{template.field}: who sets conf, params, results or variables can add words to it, or a command",
                "use a list, script=, or pass the value with environment=",
            )


def image_tag(checked: Checked) -> Iterator[Problem]:
    for task, container in checked.containers():
        image = container.image
        if image is None or has_templates(image) or image in checked.task_images or "@" in image:
            continue
        _, colon, tag = image.rpartition("/")[2].partition(":")
        if colon and tag != "latest":
            continue
        near = difflib.get_close_matches(image, sorted(checked.task_images), n=1)
        fix = f"did you mean the task image {near[0]!r}?" if near else "name a version, as in python:3.13-slim"
        text = f"image {image!r} " + ("moves: latest is another one tomorrow" if colon else "has no tag")
        yield _warning(checked, task, "image_tag", text, fix)


def log_rotation(checked: Checked) -> Iterator[Problem]:
    for task, container in checked.containers():
        for name in ("log_opts_max_size", "log_opts_max_file"):
            if getattr(container, name) is not None:
                text = f"{name}: what the engine throws away while no scheduler runs is missing in the task's log"
                yield _warning(checked, task, "log_rotation", text, "leave it out: logs go with their container")


def pull_not_upstream(checked: Checked) -> Iterator[Problem]:
    known = [task.task_id for task in checked.dag.tasks]
    for task, template in checked.templates():
        pulled = [(wanted, "pulls the result of") for wanted in template.pulled_tasks()]
        taken = [(wanted, "takes an output of") for wanted, _ in template.taken_outputs()]
        for wanted, does in (*pulled, *taken):
            if wanted in checked.upstream(task):
                continue
            near = difflib.get_close_matches(wanted, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near and wanted not in known else ""
            what = "is not upstream of it" if wanted in known else f"is no task of this DAG{hint}"
            yield _warning(
                checked,
                task,
                "pull_not_upstream",
                f"{template.field}: it {does} {wanted!r}, which {what}",
                f"add the edge {wanted} >> {task.task_id}" if wanted in known else "name a task of this DAG",
            )


def output_not_kept(checked: Checked) -> Iterator[Problem]:
    kept = {task.task_id: container.outputs for task, container in checked.containers()}
    for task, template in checked.templates():
        for wanted, path in template.taken_outputs():
            patterns = kept.get(wanted, ())
            if wanted not in kept or has_templates(patterns):
                continue
            if not any(covers(pattern, path) or covers(path, pattern) for pattern in patterns):
                yield _warning(
                    checked,
                    task,
                    "output_not_kept",
                    f"{template.field}: {wanted!r} does not keep {path}",
                    f"name it in the outputs= of {wanted}",
                )


def all_done_leaf(checked: Checked) -> Iterator[Problem]:
    inner = {parent for task in checked.dag.tasks for parent in task.upstream}
    for task in checked.dag.tasks:
        if task.trigger_rule is TriggerRule.ALL_DONE and task.upstream and task.task_id not in inner:
            yield _warning(
                checked,
                task,
                "all_done_leaf",
                "the run is a success whenever this last task is, whatever failed before it",
                "add a last task with the default trigger rule beside it",
            )


def moving_start_date(checked: Checked) -> Iterator[Problem]:
    for keyword in _keywords(checked.source, "start_date"):
        for call in ast.walk(keyword.value):
            if isinstance(call, ast.Call) and (name := _called(call)) in _MOVING:
                yield Problem(
                    file=checked.dag.file,
                    line=call.lineno,
                    rule="moving_start_date",
                    text=f"start_date={name}(...) is another date at every parse",
                    fix="write a fixed date, as in datetime(2024, 1, 1, tzinfo=UTC)",
                    severity=Severity.WARNING,
                    dag_id=checked.dag.dag_id,
                )


#: Every rule, errors first.
RULES: tuple[Callable[[Checked], Iterable[Problem]], ...] = (
    bad_schedule,
    template_syntax,
    template_name,
    element_name,
    param,
    macro_name,
    result_schema,
    literal_secret,
    secret_in_command,
    single_brace,
    shell_syntax,
    data_in_command,
    image_tag,
    log_rotation,
    pull_not_upstream,
    output_not_kept,
    all_done_leaf,
    moving_start_date,
)


def _read(field: str, text: str) -> StaticTemplate | RenderError:
    try:
        return StaticTemplate(field, text)
    except RenderError as error:
        return error


def _shell_sign(command: str) -> str | None:
    """The first sign that only a shell would understand; None where there is none, or a shell is called."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None  # it cannot be split at all, which the DAG's own checks say
    if not words or words[0].rpartition("/")[2] in _SHELLS:
        return None
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.commenters = ""
    lexer.whitespace_split = True
    signs = [word for word in lexer if word and set(word) <= set("|<>&;") and word in _unquoted(command)]
    if signs:
        return signs[0]
    found = _EXPANSION.search(_SINGLE_QUOTED.sub("", command))
    return found[0][:1] if found else None


def _unquoted(command: str) -> str:
    """The command without what stands in quotes."""
    return re.sub(r"'[^']*'|\"(?:\\.|[^\"\\])*\"", "", command)


def _read_as_code(container: ContainerTemplate, field: str) -> bool:
    """Whether a field's text is split into words, or is the text that an inner shell runs."""
    command = container.command
    if isinstance(command, str):
        return field == "command"
    place = re.fullmatch(r"command\[(\d+)\]", field)
    if place is None or not command:
        return False
    before = command[: int(place[1])]
    return (
        len(before) > 1
        and before[0].rpartition("/")[2] in _SHELLS
        and re.fullmatch(r"-\w*c", before[-1]) is not None
    )


def _keywords(source: ast.Module, name: str) -> Iterator[ast.keyword]:
    yield from (node for node in ast.walk(source) if isinstance(node, ast.keyword) and node.arg == name)


def _called(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _error(checked: Checked, task: TaskSpec | None, rule: str, text: str, fix: str) -> Problem:
    return Problem(
        file=checked.dag.file,
        line=(task.line if task else checked.dag.line) or None,
        rule=rule,
        text=text,
        fix=fix,
        dag_id=checked.dag.dag_id,
        task_id=task.task_id if task else None,
    )


def _warning(checked: Checked, task: TaskSpec, rule: str, text: str, fix: str) -> Problem:
    return Problem(
        file=checked.dag.file,
        line=task.line or None,
        rule=rule,
        text=text,
        fix=fix,
        severity=Severity.WARNING,
        dag_id=checked.dag.dag_id,
        task_id=task.task_id,
    )
