"""What services may expect of the places where secrets, variables and connections are kept."""

from typing import Protocol

from orchestrator.spec.secrets import SecretKind


class Secrets(Protocol):
    """Looks secrets, variables and connections up, each time anew. Safe to call from many threads."""

    def find(self, kind: SecretKind, stored_id: str) -> bytes | None:
        """What is kept under this id, as it is kept, in the first place that has it; None where none has.

        `SecretUnavailableError` where a place cannot be asked now, `SecretInvalidError` where it has what cannot be
        read. No message holds a value."""

    def places(self, kind: SecretKind, stored_id: str) -> tuple[str, ...]:
        """Where it is looked for, in this order, in words for people."""
