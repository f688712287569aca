"""Several places as one: the first that has it answers."""

from collections.abc import Sequence

from orchestrator.ports import Secrets
from orchestrator.spec.secrets import SecretKind


class SecretPlaces:
    """A `Secrets` over others, in their order."""

    def __init__(self, places: Sequence[Secrets]) -> None:
        self._places = places

    def find(self, kind: SecretKind, stored_id: str) -> bytes | None:
        for place in self._places:
            found = place.find(kind, stored_id)
            if found is not None:
                return found
        return None

    def places(self, kind: SecretKind, stored_id: str) -> tuple[str, ...]:
        return tuple(text for place in self._places for text in place.places(kind, stored_id))
