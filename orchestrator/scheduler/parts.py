"""What a scheduler is made of, and what all its services have in common."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from orchestrator.clock import Clock, SystemClock
from orchestrator.ports import (
    ArtifactStore,
    Checker,
    Engine,
    Folder,
    Images,
    LogStore,
    Parser,
    Renderer,
    Secrets,
    Store,
)
from orchestrator.scheduler.heartbeat import Heartbeat
from orchestrator.settings import Settings
from orchestrator.spec.finalize import Site


class Service(Protocol):
    """Threads of ours: `close` asks them to end, `join` waits for it up to some seconds."""

    def close(self) -> None: ...
    def join(self, seconds: float) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a scheduler is made of: adapters behind ports, and facts about the deployment."""

    store: Store
    engine: Engine
    logs: LogStore
    artifacts: ArtifactStore
    images: Images
    renderer: Renderer
    checker: Checker
    parser: Parser
    settings: Settings
    site: Site
    secrets: Secrets
    clock: Clock
    folder: Folder | None = None  #: None: DAGs are posted by the caller (`dags test`)
    test_mode: bool = False
    attended: bool = True  #: somebody can be asked to approve
    extra_labels: Mapping[str, str] = field(default_factory=dict)
    heartbeat: Heartbeat = field(default_factory=lambda: Heartbeat(SystemClock()))
