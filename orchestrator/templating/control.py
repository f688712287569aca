"""Rendering what a task without a container is to do. Params that a person may set are data, no templates."""

from collections.abc import Mapping
from typing import Any

from orchestrator.spec.control import Control
from orchestrator.spec.marks import has_templates
from orchestrator.templating.fields import with_strings
from orchestrator.templating.render import render_value


def render_control(control: Control, context: Mapping[str, Any], *, native: bool = False) -> Control:
    """Every string with template marks rendered; in `conf` a lone handle, or with `native` any lone expression,
    gives its value. RenderError names the field and what is wrong with it."""

    def rendered(field: str, text: str) -> Any:
        if field.startswith("params.") or not has_templates(text):
            return text
        return render_value(field, text, context, native=native)

    return with_strings(control, rendered)
