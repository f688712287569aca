"""Secrets in files: a folder that Docker, Kubernetes or a person fills. A secret `x` is the file `x`, a variable
`var_x`, a connection `conn_x`."""

from collections.abc import Mapping
from pathlib import Path

from orchestrator.errors import SecretInvalidError
from orchestrator.spec.secrets import SecretKind, is_stored_id

#: Bytes that a secret may have.
LARGEST = 1 << 20
_PREFIXES: Mapping[SecretKind, str] = {
    SecretKind.SECRET: "",
    SecretKind.VARIABLE: "var_",
    SecretKind.CONNECTION: "conn_",
}


class FileSecrets:
    """A `Secrets` over one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, kind: SecretKind, stored_id: str) -> bytes | None:
        if not is_stored_id(stored_id):
            return None
        path = self._path(kind, stored_id)
        try:
            with path.open("rb") as file:
                data = file.read(LARGEST + 1)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as error:
            raise SecretInvalidError(
                kind, stored_id, f"{path} cannot be read: {error.strerror}", fix="let the scheduler's user read it"
            ) from None
        if len(data) > LARGEST:
            raise SecretInvalidError(
                kind, stored_id, f"{path} has more than {LARGEST} B", fix="mount large files, with Mount(...)"
            )
        return data

    def places(self, kind: SecretKind, stored_id: str) -> tuple[str, ...]:
        return (f"the file {self._path(kind, stored_id)}",)

    def _path(self, kind: SecretKind, stored_id: str) -> Path:
        return self._folder / f"{_PREFIXES[kind]}{stored_id}"
