"""References to secrets, replaced by what they mean: just before a container is created, in memory only. Also which
values no log of a try may show, and what templates may see of what is stored (invariant I10)."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath

import msgspec

from orchestrator.errors import SecretError, SecretInvalidError, SecretMissingError
from orchestrator.planning.rows import Reason
from orchestrator.ports import RegistryLogin, Secrets
from orchestrator.spec.connections import read_connection
from orchestrator.spec.container import ContainerSpec, InputFile
from orchestrator.spec.secrets import (
    SECRETS_FOLDER,
    Sealed,
    SecretFile,
    SecretKind,
    SecretRef,
    Shown,
    is_sensitive,
    references,
)
from orchestrator.spec.stored import confidential, hide, part, shown
from orchestrator.states import ReasonCode


class Unsealed:
    """The secrets of one container, in clear; it has no readable form."""

    __slots__ = ("environment", "files", "values")

    def __init__(
        self, environment: Mapping[str, str], files: Mapping[SecretFile, bytes], values: Iterable[bytes]
    ) -> None:
        self.environment = environment
        self.files = files
        self.values = frozenset(values)  #: what no log may show

    def given_to(self, spec: ContainerSpec) -> ContainerSpec:
        """The spec as the engine is told it."""
        return msgspec.structs.replace(
            spec, environment=spec.environment | dict(self.environment), secret_environment={}, secret_files=()
        )

    def copied(self, uid_of: Callable[[str], int]) -> tuple[InputFile, ...]:
        """The files to copy in, readable by their owners alone; `uid_of` tells the number of a user."""
        folders = dict.fromkeys(file.volume for file in self.files if _stands_in_folder(file))
        opened = tuple(InputFile(path=SECRETS_FOLDER, mode=0o755, volume=each) for each in folders if each == "/")
        return opened + tuple(
            InputFile(path=file.path, data=data, volume=file.volume, mode=file.mode, uid=uid_of(file.owner))
            for file, data in self.files.items()
        )


class Unsealing:
    """Resolves references; keeps nothing."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def of(self, spec: ContainerSpec) -> Unsealed:
        """Everything that a container is given. `SecretError` where one of them cannot be had."""
        found = {ref: self._found(ref.kind, ref.id) for ref in _references(spec)}
        environment = {
            name: _variable(name, sealed, {ref: _part(ref, found[ref]) for ref in references(sealed)})
            for name, sealed in spec.secret_environment.items()
        }
        files = {
            file: b"".join(
                each.encode() if isinstance(each, str) else _part(each, found[each]) for each in file.content
            )
            for file in spec.secret_files
        }
        return Unsealed(environment, files, (value for ref in found for value in confidential(ref, found[ref])))

    def values(self, spec: ContainerSpec) -> tuple[frozenset[bytes], tuple[SecretRef, ...]]:
        """What no log of it may show, as far as that is known now, and the references that are not.
        `SecretUnavailableError` where it may be known later."""
        values: set[bytes] = set()
        unknown: list[SecretRef] = []
        for ref in _references(spec):
            try:
                values.update(confidential(ref, self._found(ref.kind, ref.id)))
            except (SecretMissingError, SecretInvalidError):
                unknown.append(ref)
        return frozenset(values), tuple(unknown)

    def shown(self, kind: SecretKind, stored_id: str) -> Shown:
        """What templates may see of a variable or a connection. `SecretInvalidError`, `SecretUnavailableError`."""
        data = self._secrets.find(kind, stored_id)
        if data is None:
            asked = ", ".join(self._secrets.places(kind, stored_id))
            return Shown(missing=f"the {kind} {stored_id!r} is nowhere; asked: {asked}")
        try:
            seen = shown(kind, data)
        except ValueError as why:
            raise SecretInvalidError(kind, stored_id, str(why), fix=_FORMS[kind]) from None
        return hide(seen) if kind is SecretKind.VARIABLE and is_sensitive(stored_id) else seen

    def login(self, stored_id: str) -> RegistryLogin:
        """The login to a registry that a connection holds; raises as `of`."""
        kind = SecretKind.CONNECTION
        try:
            connection = read_connection(self._found(kind, stored_id).decode())
        except ValueError as why:
            raise SecretInvalidError(kind, stored_id, str(why), fix=_FORMS[kind]) from None
        if not (connection.host and connection.login and connection.password):
            raise SecretInvalidError(
                kind,
                stored_id,
                "a registry's has a host, a login and a password",
                fix="write it as docker://login:password@registry:port",
            )
        place = f"{connection.host}:{connection.port}" if connection.port else connection.host
        return RegistryLogin(registry=place, username=connection.login, password=connection.password)

    def _found(self, kind: SecretKind, stored_id: str) -> bytes:
        data = self._secrets.find(kind, stored_id)
        if data is None:
            raise SecretMissingError(kind, stored_id, self._secrets.places(kind, stored_id))
        return data


_FORMS: Mapping[SecretKind, str] = {
    SecretKind.SECRET: "",
    SecretKind.VARIABLE: "write it as UTF-8 text",
    SecretKind.CONNECTION: "write it as a URI, postgres://login:password@host:5432/schema, or as JSON",
}


def uid_in(users: str, name: str) -> int | None:
    """The number of a user in the text of `/etc/passwd`; None of one that is not in it."""
    for line in users.splitlines():
        fields = line.split(":")
        if len(fields) > 2 and fields[0] == name and fields[2].isdecimal():  # noqa: PLR2004 - name, password, number
            return int(fields[2])
    return None


def secret_reason(trouble: SecretError) -> Reason:
    """Why a secret cannot be had, as a task's reason."""
    return Reason(code=ReasonCode(trouble.code), text=trouble.sentence)


def _references(spec: ContainerSpec) -> tuple[SecretRef, ...]:
    return references(*spec.secret_environment.values(), *(file.content for file in spec.secret_files))


def _part(ref: SecretRef, data: bytes) -> bytes:
    try:
        return part(ref, data)
    except ValueError as why:
        raise SecretInvalidError(ref.kind, ref.id, str(why), fix=_FORMS[ref.kind]) from None


def _variable(name: str, sealed: Sealed, parts: Mapping[SecretRef, bytes]) -> str:
    """The value of a variable: text, without the end of a secret's last line."""
    texts: list[str] = []
    for each in sealed:
        if isinstance(each, str):
            texts.append(each)
            continue
        try:
            text = parts[each].decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            text = "\0"
        if "\0" in text:
            why = f"it is no text, which {name} must be"
            raise SecretInvalidError(each.kind, each.id, why, fix=f"take it as a file: Secret({each.id!r})")
        texts.append(text)
    return "".join(texts)


def _stands_in_folder(file: SecretFile) -> bool:
    return PurePosixPath(file.path).parent == PurePosixPath(SECRETS_FOLDER)
