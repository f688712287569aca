"""From arguments as written to the fields of spec values, by the tables of `taken`. The type of a field has the
last word."""

from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any

import msgspec

from orchestrator.authoring.faults import Rule, fault, nearest
from orchestrator.authoring.graph import Graph
from orchestrator.authoring.taken import DEFAULTS, DOCKER, WRITTEN_ONCE, Argument
from orchestrator.authoring.template_files import with_texts
from orchestrator.authoring.without_effect import IDLE_SENSOR, NEVER, NOT_YET, without_idle
from orchestrator.spec.dag import ContainerTemplate
from orchestrator.spec.value import Value

#: Values of fields, by the kind of value they belong to.
Fields = dict[type[Value], dict[str, Any]]


def read_arguments(
    what: str,
    table: Mapping[str, Argument],
    given: Mapping[str, Any],
    defaults: Mapping[str, Any] | None = None,
    searchpath: Sequence[str] = (),
    refused: Mapping[str, str] = MappingProxyType({}),
) -> Fields:
    """The fields that the given arguments fill, and, where they leave one open, `defaults`: of these, names
    that are not in the table are passed over. `what` names the thing constructed in messages; template files are
    looked for in `searchpath`; `refused` as of `check_names`."""
    check_names(f"{what} takes no argument", table, given, refused)
    own = _by_field(what, table, given)
    known = {name: value for name, value in (defaults or {}).items() if name in table}
    fields: Fields = {}
    for (part, field), name in (_by_field("default_args", table, known) | own).items():
        written = given[name] if own.get((part, field)) == name else known[name]
        written = with_texts(f"{what}: {name}", written, searchpath)
        fields.setdefault(part, {})[field] = _value(f"{what}: {name}", table[name], written)
    return fields


def read_elements(what: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a container's template that elements of a mapped operator fill. Raises as `field_of` and
    `read_arguments`."""
    for name in given:
        field_of(what, name)
    return read_arguments(what, DOCKER, given).get(ContainerTemplate, {})


def field_of(what: str, name: str, *, expanded: bool = True) -> str:
    """The field that an argument fills. Where it is `expanded` it must be one of the container's: those are all
    that an operator can be mapped over."""
    argument = DOCKER.get(name)
    if not expanded:
        return name if argument is None else argument.field
    if argument is None or argument.part is not ContainerTemplate or name in WRITTEN_ONCE:
        known = [each for each, taken in DOCKER.items() if taken.part is ContainerTemplate]
        raise fault(
            f"{what}: {name!r} cannot be expanded{'' if argument else nearest(str(name), known)}",
            rule=Rule.BAD_ARGUMENT,
            fix="expand what a container is given, like command or environment; the rest goes into .partial()",
        )
    return argument.field


def read_defaults(
    what: str, written: object, graph: Graph, outer: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """`default_args` as they were given, over those of the scope around: any argument of any operator."""
    if not isinstance(written, Mapping | None):
        raise fault(f"{what}: default_args is {written!r}", rule=Rule.BAD_ARGUMENT, fix="write a dict")
    inner = without_idle(f"{what}: default_args", DEFAULTS, IDLE_SENSOR, written or {}, graph)
    check_names(f"{what}: default_args: no operator takes", DEFAULTS, inner)
    fields = {DEFAULTS[name][:2] for name in inner}
    return {name: value for name, value in (outer or {}).items() if DEFAULTS[name][:2] not in fields} | inner


def check_names(
    subject: str,
    table: Mapping[str, object],
    given: Mapping[str, Any],
    refused: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """`unknown_argument` where a name is not in the table: of those `refused`, and of those that are not to be had,
    or not yet, it says why, of others the nearest known name. `subject` begins the sentence: "... takes no
    argument"."""
    for name in given:
        if name not in table:
            why = refused.get(name) or NEVER.get(name)
            yet = why is None and name in NOT_YET
            why = why or NOT_YET.get(name)
            raise fault(
                f"{subject} {name!r}{' yet' if yet else '' if why else nearest(str(name), table)}",
                rule=Rule.UNKNOWN_ARGUMENT,
                fix=f"leave it out: {why}" if why else "correct the name, or leave it out",
            )


def _by_field(
    what: str, table: Mapping[str, Argument], names: Mapping[str, Any]
) -> dict[tuple[type[Value], str], str]:
    """The name under which each field was given; two names for one field are an error."""
    found: dict[tuple[type[Value], str], str] = {}
    for name in names:
        place = (table[name].part, table[name].field)
        if place in found:
            raise fault(
                f"{what}: {found[place]} and {name} say the same thing",
                rule=Rule.BAD_ARGUMENT,
                fix=f"keep {found[place]}",
            )
        found[place] = name
    return found


def _value(what: str, argument: Argument, written: Any) -> Any:
    try:
        read = argument.read(written) if argument.read else written
        if isinstance(read, set | frozenset):  # in one order, so that one file is one version
            read = sorted(read, key=str)
        value = msgspec.convert(read, _types(argument.part)[argument.field])
    except (ValueError, msgspec.ValidationError) as error:
        raise fault(f"{what}: {error}", rule=Rule.BAD_ARGUMENT, fix="write a value that fits") from error
    if argument.least is not None and value is not None and value < argument.least:
        raise fault(f"{what} is {written!r}", rule=Rule.BAD_ARGUMENT, fix=f"write {argument.least} or more")
    return value


@cache
def _types(part: type[Value]) -> dict[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(part)}
