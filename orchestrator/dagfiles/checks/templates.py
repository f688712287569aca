"""Rules over templates: what they use, and what they take from other tasks."""

import difflib
import re
from collections.abc import Iterator

from orchestrator.dagfiles.checks.checked import Checked
from orchestrator.errors import RenderError
from orchestrator.spec.dag import Problem
from orchestrator.spec.marks import has_templates
from orchestrator.spec.outputs import covers
from orchestrator.templating.names import NAMES, nearest

#: What a template is in a text.
TEMPLATE_PARTS = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_SINGLE_BRACE = re.compile(r"(?<![{$\w])\{\s*(\w+)\s*\}(?!\})")


def template_syntax(checked: Checked) -> Iterator[Problem]:
    for task, fault in checked.read:
        if isinstance(fault, RenderError):
            text = f"{fault.field}: {fault.message}"
            yield checked.found("template_syntax", task, text, "correct the template")


def template_name(checked: Checked) -> Iterator[Problem]:
    for task, template in checked.templates():
        for words in template.unknown_names(checked.dag.macros):
            yield checked.found("template_name", task, f"{template.field}: {words}", "use a name of the context")
        for words in template.unknown_params({**checked.dag.params, **task.params}):
            fix = "add it to params= of the DAG or the task, or read dag_run.conf"
            yield checked.found("template_name", task, f"{template.field}: {words}", fix)


def element_name(checked: Checked) -> Iterator[Problem]:
    for task, template in checked.templates():
        unit = checked.units.get(task.task_id)
        axes = () if unit is None else unit.map.axes
        known = [axis.argument for axis in axes if axis.argument is not None]
        for name in template.element_names():
            if unit is None:
                text = f"{template.field}: element({name!r}) is for mapped tasks, and this is none"
                yield checked.found("element_name", task, text, "map it with .partial(...).expand(...)")
            elif name not in known and len(known) == len(axes):
                text = f"{template.field}: it is not mapped over {name!r}{nearest(name, known)}"
                yield checked.found("element_name", task, text, "name what .expand(...) names")


def macro_name(checked: Checked) -> Iterator[Problem]:
    for name in sorted(checked.dag.macros.keys() & NAMES):
        text = f"user_defined_macros: {name!r} is a name that every template has"
        yield checked.found("macro_name", None, text, "give it another name")


def single_brace(checked: Checked) -> Iterator[Problem]:
    for task, field, text in checked.texts():
        for name in _SINGLE_BRACE.findall(TEMPLATE_PARTS.sub("", text)):
            if name in NAMES:
                words = f"{field}: {{{name}}} is plain text"
                yield checked.found("single_brace", task, words, f"write {{{{ {name} }}}}")


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
            text = f"{template.field}: it {does} {wanted!r}, which {what}"
            fix = f"add the edge {wanted} >> {task.task_id}" if wanted in known else "name a task of this DAG"
            yield checked.found("pull_not_upstream", task, text, fix)


def output_not_kept(checked: Checked) -> Iterator[Problem]:
    kept = {task.task_id: container.outputs for task, container in checked.containers()}
    for task, template in checked.templates():
        for wanted, path in template.taken_outputs():
            patterns = kept.get(wanted, ())
            if wanted not in kept or has_templates(patterns):
                continue
            if not any(covers(pattern, path) or covers(path, pattern) for pattern in patterns):
                text = f"{template.field}: {wanted!r} does not keep {path}"
                yield checked.found("output_not_kept", task, text, f"name it in the outputs= of {wanted}")
