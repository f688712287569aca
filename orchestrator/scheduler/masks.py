"""Which values the log of each open try must not show: told by who launches it, and looked up again, by reference,
for a try that an earlier process launched."""

import threading
from collections.abc import Callable
from typing import NamedTuple

from orchestrator.errors import LogUnavailableError, SecretUnavailableError, StoreUnavailableError
from orchestrator.ids import TryKey
from orchestrator.scheduler.masking import Patterns
from orchestrator.scheduler.unsealing import Unsealing
from orchestrator.spec.container import ContainerSpec

_NOTHING = Patterns()


class Mask(NamedTuple):
    """What is masked in one try's log; `note` says what cannot be."""

    patterns: Patterns = _NOTHING
    note: str = ""


class Masks:
    """Values in memory, for as long as a try's log is open; any thread. `find` tells the spec of a try, None where
    there is no such try."""

    def __init__(self, unsealing: Unsealing, find: Callable[[TryKey], ContainerSpec | None]) -> None:
        self._unsealing = unsealing
        self._find = find
        self._lock = threading.Lock()
        self._known: dict[TryKey, Mask] = {}

    def learn(self, key: TryKey, values: frozenset[bytes]) -> Patterns:
        """These are given to the try's container now."""
        mask = Mask(Patterns(values)) if values else Mask()
        with self._lock:
            self._known[key] = mask
        return mask.patterns

    def of(self, key: TryKey) -> Mask:
        """What is to be masked; `LogUnavailableError` where that cannot be known now."""
        with self._lock:
            known = self._known.get(key)
        if known is None:
            known = self._looked_up(key)
            with self._lock:
                known = self._known.setdefault(key, known)
        return known

    def forget(self, key: TryKey) -> None:
        """Its log is closed."""
        with self._lock:
            self._known.pop(key, None)

    def _looked_up(self, key: TryKey) -> Mask:
        try:
            spec = self._find(key)
            values, unknown = self._unsealing.values(spec) if spec is not None else (frozenset[bytes](), ())
        except (StoreUnavailableError, SecretUnavailableError) as trouble:
            raise LogUnavailableError(
                f"what the log must not show is not known now: {trouble.message}", fix=trouble.fix
            ) from trouble
        missing = ", ".join(map(str, unknown))
        note = f"from here on the log may show {missing}: it is not known any more, so it cannot be hidden"
        return Mask(Patterns(values), note if unknown else "") if values or unknown else Mask()


def no_mask(_: TryKey) -> Mask:
    """Of tries without secrets."""
    return Mask()
