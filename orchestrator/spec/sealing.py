"""A container's environment and its files of secrets: from what was written, and what was rendered with references
in it, to texts that may be stored and texts that are put together when it is created. All functions raise
`FinalizeError`."""

from collections.abc import Container, Iterator, Mapping

from orchestrator.errors import FinalizeError
from orchestrator.spec.dag import ContainerTemplate
from orchestrator.spec.secrets import (
    SECRETS_FOLDER,
    Sealed,
    SecretFile,
    SecretKind,
    SecretRef,
    is_stored_id,
    references,
    variable_suffix,
)

#: Arguments with values that may hold references, in order of precedence.
ENVIRONMENTS = ("env_file", "environment", "private_environment")
SEALABLE = (*ENVIRONMENTS, "inputs")


def environment_of(
    template: ContainerTemplate, ours: Mapping[str, str], taken: Container[str]
) -> tuple[dict[str, str], dict[str, Sealed]]:
    """Variables in clear, and those with references. What is `ours`, or `taken`, nobody else may set."""
    chosen: dict[str, str | Sealed] = {}
    for name, (field, value) in _written(template).items():
        if not name or "=" in name or "\0" in name or "\0" in value:
            raise FinalizeError(field, "is no variable a process can have", fix="use a name without = and NUL")
        if name in ours or name in taken:
            raise FinalizeError(field, "is set by the orchestrator", fix="choose another name")
        chosen[name] = value
    plain = {name: value for name, value in chosen.items() if isinstance(value, str)}
    sealed = {name: value for name, value in chosen.items() if not isinstance(value, str)}
    return plain | dict(ours), sealed


def connection_variables(template: ContainerTemplate) -> dict[str, str]:
    """Where a task finds its connections."""
    return {
        f"ORCHESTRATOR_CONN_{variable_suffix(each)}_FILE": f"{SECRETS_FOLDER}/conn_{each}.json"
        for each in template.connections
    }


def has_secret_files(template: ContainerTemplate) -> bool:
    """Whether the container needs a folder of secrets."""
    return bool(template.connections) or any(each.env is None for each in template.secrets)


def secret_files(template: ContainerTemplate, owner: str, volume: str) -> Iterator[SecretFile]:
    """The files in the folder of secrets; `volume` is what holds it, `owner` the task's user."""
    for each in template.secrets:
        if each.env is None:
            content = (SecretRef(kind=SecretKind.SECRET, id=_id(f"secrets[{each.id!r}]", each.id)),)
            yield SecretFile(path=f"{SECRETS_FOLDER}/{each.id}", content=content, owner=owner, volume=volume)
    for each_id in template.connections:
        _id(f"connections[{each_id!r}]", each_id)
        for form in ("json", "uri"):
            content = (SecretRef(kind=SecretKind.CONNECTION, id=each_id, path=(form,)),)
            path = f"{SECRETS_FOLDER}/conn_{each_id}.{form}"
            yield SecretFile(path=path, content=content, owner=owner, volume=volume)


def _written(template: ContainerTemplate) -> dict[str, tuple[str, str | Sealed]]:
    """Field and value of each variable; later ones take the place of earlier ones."""
    found: dict[str, tuple[str, str | Sealed]] = {}
    for argument in ENVIRONMENTS:
        values: dict[str, str] = getattr(template, argument)
        for name, text in values.items():
            field = f"{argument}[{name!r}]"
            value = template.sealed.get(f"{argument}.{name}", text)
            if argument == "private_environment" and (isinstance(value, str) or not references(value)):
                raise FinalizeError(
                    field,
                    "what is written in a DAG file is not private: it is stored with the DAG",
                    fix='keep the value where secrets are kept, and write secrets=[Secret("id", '
                    f"env={name!r})] or {{{{ var.value.id }}}}",
                )
            found[name] = (field, value)
    for each in template.secrets:
        if each.env is not None:
            field = f"secrets[{each.id!r}]"
            found[each.env] = (field, (SecretRef(kind=SecretKind.SECRET, id=_id(field, each.id)),))
    return found


def _id(field: str, text: str) -> str:
    if not is_stored_id(text):
        raise FinalizeError(field, f"{text!r} is no id", fix="use letters, digits and _.-, 200 at most")
    return text
