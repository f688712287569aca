"""Rendering what a task without a container is to do. Params that a person may set are data, no templates."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from orchestrator.spec.control import Control, External, Trigger
from orchestrator.spec.marks import has_templates
from orchestrator.templating.fields import with_strings
from orchestrator.templating.render import render_elements, render_value


def render_control(control: Control, context: Mapping[str, Any], *, native: bool = False) -> Control:
    """Every string with template marks rendered; in `conf` a lone handle, or with `native` any lone expression,
    gives its value. What comes to nothing and may be left out is as if it were. RenderError names the field and
    what is wrong with it."""

    def rendered(field: str, text: str) -> Any:
        if field.startswith("params.") or not has_templates(text):
            return text
        return render_value(field, text, context, native=native)

    render_elements(context, native=native)
    return _without_empty(with_strings(control, rendered))


def _without_empty(control: Control) -> Control:
    match control:
        case Trigger():
            return replace(control, logical_date=control.logical_date or None, run_id=control.run_id or None)
        case External():
            given = tuple(filter(None, control.task_ids))
            return replace(control, task_ids=given, group=control.group or None, date=control.date or None)
        case _:
            return control
