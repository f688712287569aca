"""The thread that drains the engine's one event stream. It only notes and hands on: an unread stream slows
the engine and loses events (spec images-and-engine 3)."""

import threading
from collections.abc import Callable

import structlog

from orchestrator.ids import DeploymentId
from orchestrator.ports import Engine
from orchestrator.scheduler.attempts import OpenAttempts
from orchestrator.scheduler.inbox import EngineConnected, Message
from orchestrator.spec.container import EngineEvent, EngineEventKind

_log = structlog.get_logger()


class EngineWatch:
    """Reads events until the engine is closed."""

    def __init__(
        self,
        engine: Engine,
        deployment: DeploymentId,
        attempts: OpenAttempts,
        *,
        post: Callable[[Message], None],
        on_exit: Callable[[EngineEvent], None],
        on_silence: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._deployment = deployment
        self._attempts = attempts
        self._post = post
        self._on_exit = on_exit
        self._on_silence = on_silence
        self._thread = threading.Thread(target=self._run, name="engine-events", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait for the thread's end, which `Engine.close` brings about."""
        self._thread.join(seconds)

    def _run(self) -> None:
        for event in self._engine.events(self._deployment):
            self._take(event)

    def _take(self, event: EngineEvent) -> None:
        match event.kind:
            case EngineEventKind.CONNECTED:
                _log.info("engine.connected")
                self._post(EngineConnected())
            case EngineEventKind.DISCONNECTED:
                _log.warning("engine.disconnected", detail=event.detail)
                self._on_silence()
            case EngineEventKind.DIE:
                self._on_exit(event)
            case _:
                self._attempts.note(event)
