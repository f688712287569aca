"""Where template marks stand in what a DAG file said. A string without marks never meets a template engine."""

from collections.abc import Mapping
from typing import Any

import msgspec

from orchestrator.spec.dag import ContainerTemplate

_MARKS = ("{{", "{%", "{#")


def has_templates(value: object) -> bool:
    """Whether any string in `value` holds a template mark, at any depth. Keys of mappings are names, not
    templates."""
    if isinstance(value, str):
        return any(mark in value for mark in _MARKS)
    if isinstance(value, Mapping):
        return any(has_templates(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(has_templates(item) for item in value)
    if isinstance(value, msgspec.Struct):
        return any(has_templates(getattr(value, name)) for name in value.__struct_fields__)
    return False


def unmarked(template: ContainerTemplate) -> ContainerTemplate:
    """The part of a template that is known before rendering: each string with marks is left out, but for the
    texts of `inputs`, whose paths are known; and with a mount that has some, `inputs` too, since where they would
    land is not known yet."""
    kept: dict[str, Any] = {}
    for field in msgspec.structs.fields(template):
        value = getattr(template, field.name)
        if field.name == "inputs":
            kept[field.name] = {path: "" if has_templates(text) else text for path, text in value.items()}
        elif isinstance(value, dict):
            kept[field.name] = {key: item for key, item in value.items() if not has_templates(item)}
        elif field.name == "mounts":
            kept[field.name] = tuple(mount for mount in value if not has_templates(mount))
        else:
            kept[field.name] = field.default if has_templates(value) else value
    if has_templates(template.mounts):
        kept["inputs"] = {}
    return ContainerTemplate(**kept)
