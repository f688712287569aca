"""Secrets that are there, or not, as a test says."""

from orchestrator.errors import SecretUnavailableError
from orchestrator.spec.secrets import SecretKind


class FakeSecrets:
    """A `Secrets` over a mapping that a test may change at any time. With `away` none can be asked for now."""

    def __init__(self, kept: dict[tuple[SecretKind, str], bytes] | None = None) -> None:
        self.kept = dict(kept or {})
        self.away = False

    def keep(self, stored_id: str, value: str, kind: SecretKind = SecretKind.SECRET) -> None:
        self.kept[kind, stored_id] = value.encode()

    def find(self, kind: SecretKind, stored_id: str) -> bytes | None:
        if self.away:
            raise SecretUnavailableError(kind, stored_id, "cannot be asked for now")
        return self.kept.get((kind, stored_id))

    def places(self, kind: SecretKind, stored_id: str) -> tuple[str, ...]:
        return (f"the test's {kind} {stored_id}",)
