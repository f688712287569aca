"""Images that are there, or not, as a test says; nothing is built or pulled."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from orchestrator.errors import ImageError
from orchestrator.planning.rows import Reason
from orchestrator.ports import RegistryLogin
from orchestrator.spec.container import ImageFacts
from orchestrator.spec.dag import PullPolicy
from orchestrator.states import ReasonCode
from orchestrator.testing.call_log import CallLog
from orchestrator.testing.faults import FaultPlan


class FakeImages:
    """An `Images`. Every name means itself, and every image is there but those that are `missing`, or that raise
    something else as `errors` says. Calls go through `faults` by the names `pin` and `ensure`."""

    def __init__(self, missing: frozenset[str] = frozenset()) -> None:
        self.missing = missing
        self.errors: dict[str, Exception] = {}
        self.calls = CallLog()
        self.logins: list[RegistryLogin | None] = []  #: of each call of `ensure`
        self.faults = FaultPlan()

    def pin(self, names: Sequence[str]) -> dict[str, str]:
        self.calls.add("pin", " ".join(names))
        return self.faults.around("pin", lambda: {name: name for name in names})

    def ensure(
        self,
        pinned: str,
        *,
        pull: PullPolicy = PullPolicy.MISSING,
        platform: str | None = None,
        timeout: timedelta = timedelta(minutes=10),
        login: RegistryLogin | None = None,
        progress: Callable[[Reason], None] = lambda _: None,
    ) -> ImageFacts:
        del pull, platform, timeout
        self.calls.add("ensure", pinned)
        self.logins.append(login)
        progress(Reason(code=ReasonCode.IMAGE_PULLING, text=f"looking for {pinned}"))
        return self.faults.around("ensure", lambda: self._facts(pinned))

    def _facts(self, pinned: str) -> ImageFacts:
        if pinned in self.errors:
            raise self.errors[pinned]
        if pinned in self.missing:
            raise ImageError(ReasonCode.IMAGE_MISSING, f"there is no image {pinned}")
        return ImageFacts(id=pinned)
