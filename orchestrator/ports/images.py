"""What services may expect of task images and external images."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Protocol

from orchestrator.planning.rows import Reason
from orchestrator.spec.container import ImageFacts
from orchestrator.spec.dag import PullPolicy
from orchestrator.spec.value import Value


class RegistryLogin(Value, frozen=True, kw_only=True):
    """Who pulls from a registry, a host and perhaps a port."""

    registry: str
    username: str
    password: str

    def __repr__(self) -> str:
        return f"<RegistryLogin at {self.registry}>"


class Images(Protocol):
    """Task images and external images, as the scheduler needs them."""

    def pin(self, names: Sequence[str]) -> dict[str, str]:
        """What each name means now: a task image's content tag `orchestrator/NAME:<12 hex>`, or the external
        reference itself. Quick; builds and pulls nothing. `ImageError` names the task image that is broken."""

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
        """Make it present (build or pull, one build per tag however many ask) and tell its id and facts.
        `platform` is `os/arch[/variant]`, None for the engine's own; `timeout` bounds a pull; `login` is for
        it alone, None: what `docker login` left. `ImageError` where it cannot be had; `EngineUnavailableError`.
        `progress` hears what is waited for, from any thread."""
