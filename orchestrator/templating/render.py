"""Rendering: one container template and the names it may use, to the same template with no marks left."""

import secrets
import traceback
from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec
from jinja2 import Template, nodes
from jinja2.exceptions import TemplateError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from orchestrator.errors import RenderError
from orchestrator.spec.dag import ContainerTemplate
from orchestrator.spec.marks import has_templates
from orchestrator.spec.secrets import Sealed, references
from orchestrator.templating.elements import Elements
from orchestrator.templating.environment import new_environment
from orchestrator.templating.fields import with_strings
from orchestrator.templating.outputs import Outputs
from orchestrator.templating.script import add_raw, mark_data
from orchestrator.templating.shell import Marks, fill
from orchestrator.templating.stored import Seals, Variables, may_hold_secrets
from orchestrator.templating.values import Kept, fitted, takes_values

#: Arguments that must not become empty by rendering.
_NEVER_EMPTY = ("image", "command", "script")


def render(template: ContainerTemplate, context: Mapping[str, Any], *, native: bool = False) -> ContainerTemplate:
    """Every string with template marks rendered; with `native` a lone expression gives its value where a value may
    stand. Texts with secrets in them come as `sealed`. RenderError names the field and what is wrong with it."""
    sealed: dict[str, Sealed] = {}

    def rendered(field: str, text: str) -> Any:
        if not has_templates(text):
            return text
        if not may_hold_secrets(field):
            return render_value(field, text, context, native=native)
        parts = render_sealed(field, text, context)
        if references(parts):
            sealed[field] = parts
            return ""
        return "".join(map(str, parts))

    outputs = context.get("output", Outputs())
    render_elements(context, native=native)
    made = with_strings(template, lambda field, text: outputs.settle(field, rendered(field, text)))
    return msgspec.structs.replace(made, sealed=made.sealed | sealed) if sealed else made


def render_elements(context: Mapping[str, Any], *, native: bool) -> None:
    """From now on templates in elements that stand in the DAG file are rendered where an element is asked for."""
    if isinstance(elements := context.get("element"), Elements):
        elements.render_by(lambda field, text: _element(field, text, context, native=native))


def render_field(field: str, text: str, context: Mapping[str, Any]) -> str:
    """One string rendered; in `script` what others wrote is kept from being read as shell code."""
    return str(_rendered(field, lambda: _text(field, text, context)))


def render_sealed(field: str, text: str, context: Mapping[str, Any]) -> Sealed:
    """One string rendered where secrets may be inserted."""
    return cast("Sealed", _rendered(field, lambda: _sealed(field, text, context)))


def render_value(field: str, text: str, context: Mapping[str, Any], *, native: bool) -> Any:
    """One string rendered to what its field takes (`values`), which for most is text."""
    if not takes_values(field):
        return render_field(field, text, context)
    return _rendered(field, lambda: _value(field, text, context, native=native))


def _element(field: str, text: str, context: Mapping[str, Any], *, native: bool) -> Any:
    return render_value(field, text, context, native=native) if has_templates(text) else text


def _rendered(field: str, evaluate: Callable[[], Any]) -> Any:
    """What evaluating a field gives; whatever it raises becomes a RenderError that names the field."""
    try:
        result = evaluate()
    except RenderError as error:
        raise RenderError(error.message, field=field, fix=error.fix) from error
    except MemoryError as error:
        raise RenderError(
            "rendering it takes more memory than allowed",
            field=field,
            fix="make less text; pass large data in files",
        ) from error
    except Exception as error:
        raise RenderError(f"{_words(error)}{_line(error, field)}", field=field) from error
    _refuse_empty(field, result)
    return result


def file_name(field: str) -> str:
    """How the code of a field's template is called in tracebacks."""
    return f"<template {field}>"


def _text(field: str, text: str, context: Mapping[str, Any]) -> str:
    if field == "script":
        return _script(text, context)
    environment = new_environment()
    return _evaluated(environment, environment.parse(text, name=field), field, context)


def _sealed(field: str, text: str, context: Mapping[str, Any]) -> Sealed:
    seals = Seals(nonce=str(secrets.randbits(64)))
    environment = new_environment(seals)
    names = dict(context)
    if field.startswith("private_environment.") and isinstance(names.get("var"), Variables):
        names["var"] = names["var"].in_private()
    return seals.parted(_evaluated(environment, environment.parse(text, name=field), field, names))


def _value(field: str, text: str, context: Mapping[str, Any], *, native: bool) -> Any:
    environment = new_environment()
    tree = environment.parse(text, name=field)
    kept = Kept()
    lone = kept.of_lone(tree, environment, native=native)
    written = _evaluated(environment, tree, field, context)
    return fitted(field, kept.values[0]) if lone else written


def _script(text: str, context: Mapping[str, Any]) -> str:
    environment = new_environment()
    add_raw(environment)
    marks = Marks(nonce=str(secrets.randbits(64)))
    tree = environment.parse(text, name="script")
    mark_data(tree, environment, marks)
    return fill(_evaluated(environment, tree, "script", context), marks)


def _evaluated(
    environment: ImmutableSandboxedEnvironment, tree: nodes.Template, field: str, context: Mapping[str, Any]
) -> str:
    code = environment.compile(tree, name=field, filename=file_name(field))
    return Template.from_code(environment, code, environment.make_globals(None)).render(context)


def _refuse_empty(field: str, result: Any) -> None:
    texts = [each for each in (result if isinstance(result, list | tuple) else [result]) if isinstance(each, str)]
    if any("\0" in each for each in texts) and not field.startswith(("call.", "element", "conf")):
        raise RenderError("it renders to text with a NUL character, which no container takes", field=field)
    mount_end = field.startswith("mounts[") and field.endswith((".source", ".target"))
    if (field in _NEVER_EMPTY or mount_end) and isinstance(result, str) and not result.strip():
        raise RenderError("it renders to nothing", field=field, fix="give it a value in every case")


def _words(error: Exception) -> str:
    if isinstance(error, TemplateError):
        return error.message or type(error).__name__
    return f"{type(error).__name__}: {error}"


def _line(error: Exception, field: str) -> str:
    """` (its line 3)` where the template has that many lines and the error knows its own."""
    line = error.lineno if isinstance(error, TemplateSyntaxError) else None
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename == file_name(field):
            line = frame.lineno
    return f" (line {line} of it)" if line is not None and line > 1 else ""
