"""Images from elsewhere: here already, standing in for one that is not, or pulled.

The offline base (`orchestrator/debian-python:X.Y`) stands in for a `python:X.Y...` image that the engine does
not have, without asking a registry: it exists only where `doctor --fix` found that none could be reached.
"""

from datetime import timedelta
from typing import Any

from orchestrator.clock import Clock
from orchestrator.errors import EngineUnavailableError, ImageError
from orchestrator.images.calls import ImageApi, engine_calls
from orchestrator.images.once import Once, Progress
from orchestrator.images.pull import pull, refusal
from orchestrator.images.references import stand_in
from orchestrator.planning.rows import Reason
from orchestrator.ports import RegistryLogin
from orchestrator.spec.dag import PullPolicy
from orchestrator.spec.value import Value
from orchestrator.states import ReasonCode


class Local(Value, frozen=True, kw_only=True):
    """An image the engine has: the name it was found by (its own, or its stand-in's), and its inspection."""

    name: str
    inspected: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.inspected["Id"])


class ExternalImages:
    """Images that no folder of ours builds. Any thread; pulls of one image are shared."""

    def __init__(self, api: ImageApi, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._pulls: Once[None] = Once(clock)

    def find(self, reference: str) -> Local | None:
        """The image, or the one that stands in for it, if the engine has either."""
        for name in (reference, stand_in(reference)):
            inspected = self._api.find(name) if name else None
            if name and inspected:
                return Local(name=name, inspected=inspected)
        return None

    def identities(self, references: tuple[str, ...]) -> dict[str, str]:
        """Ids of those images that are here; empty where the engine cannot be asked."""
        try:
            found = {reference: self.find(reference) for reference in references}
        except EngineUnavailableError:
            return {}
        return {reference: local.id for reference, local in found.items() if local}

    def obtain(
        self,
        reference: str,
        *,
        policy: PullPolicy,
        platform: str | None,
        timeout: timedelta,
        login: RegistryLogin | None = None,
        progress: Progress,
    ) -> Local:
        """The image by this policy, pulled if need be. `ImageError`, `EngineUnavailableError`."""
        local = None if policy is PullPolicy.ALWAYS else self.find(reference)
        if local is None and policy is PullPolicy.NEVER:
            raise ImageError(
                ReasonCode.IMAGE_MISSING,
                f"the engine does not have the image {reference}, and pull is never",
                fix=f"docker pull {reference}, or set pull=missing",
            )
        if local is None:
            self._pull(reference, platform, timeout, login, progress)
            local = self.find(reference)
        if local is None:
            raise refusal(reference, "the engine does not have it after its pull")
        return local

    def _pull(
        self,
        reference: str,
        platform: str | None,
        timeout: timedelta,
        login: RegistryLogin | None,
        progress: Progress,
    ) -> None:
        def work(tell: Progress) -> None:
            def say(line: str) -> None:
                tell(Reason(code=ReasonCode.IMAGE_PULLING, text=f"pulling {reference}: {line}"))

            with engine_calls():
                pull(
                    self._api.client(),
                    reference,
                    platform=platform,
                    limit=timeout,
                    login=login,
                    clock=self._clock,
                    tell=say,
                )

        try:
            who = login.username if login else ""
            self._pulls.run(f"{reference} {platform} {who}", work, progress, timeout)
        except TimeoutError:
            raise refusal(reference, f"its pull is not complete after {timeout.total_seconds():g} s") from None
        except ImageError as error:
            if stand_in(reference) and error.code == ReasonCode.IMAGE_PULL_FAILED:
                fix = "`orchestrator doctor --fix` makes an equivalent from Debian's packages, without a registry"
                raise ImageError(error.code, error.message, wait=True, fix=fix) from error
            raise


class Architecture:
    """The engine's own platform, asked once."""

    def __init__(self, api: ImageApi) -> None:
        self._api = api
        self._own: str | None = None

    def check(self, local: Local, name: str, platform: str | None) -> None:
        """`ImageError` (platform_mismatch) where the image is for other processors than asked for."""
        wanted = platform.split("/")[1] if platform and "/" in platform else self._engine()
        has = str(local.inspected.get("Architecture") or wanted)
        if has != wanted:
            raise ImageError(
                ReasonCode.PLATFORM_MISMATCH,
                f"the image {name} is for {has}, not for {wanted}",
                fix=f'pull or build it for {wanted}, or set platform="linux/{has}" if the engine can emulate it',
            )

    def _engine(self) -> str:
        if self._own is None:
            with engine_calls():
                self._own = str(self._api.client().version()["Arch"])
        return self._own
