"""The thread that drains the engine's one event stream. It only notes and hands on: an unread stream slows
the engine and loses events (spec images-and-engine 3)."""

import threading
from collections.abc import Callable

import structlog

from orchestrator.clock import Clock
from orchestrator.ids import DeploymentId
from orchestrator.ports import Engine
from orchestrator.scheduler.attempts import OpenAttempts
from orchestrator.scheduler.heartbeat import Beat
from orchestrator.scheduler.inbox import EngineConnected, Message
from orchestrator.scheduler.patience import Patience
from orchestrator.spec.container import EngineEvent, EngineEventKind

_log = structlog.get_logger()


class EngineWatch:
    """Reads events until it is closed, whatever goes wrong with one of them or with the stream."""

    def __init__(
        self,
        engine: Engine,
        deployment: DeploymentId,
        attempts: OpenAttempts,
        *,
        post: Callable[[Message], None],
        on_exit: Callable[[EngineEvent], None],
        on_gone: Callable[[EngineEvent], None],
        on_silence: Callable[[], None],
        clock: Clock,
        beat: Beat,
    ) -> None:
        self._engine = engine
        self._deployment = deployment
        self._attempts = attempts
        self._post = post
        self._on_exit = on_exit
        self._on_gone = on_gone
        self._on_silence = on_silence
        self._clock = clock
        self._beat = beat
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine-events", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Take no event any more; a stream that says nothing ends with `Engine.close`."""
        self._stop.set()
        self._attempts.deafen()

    def join(self, seconds: float) -> bool:
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        patience = Patience(self._clock, self._stop)
        while not self._stop.is_set():
            try:
                for event in self._engine.events(self._deployment):
                    if self._stop.is_set():
                        return
                    self._beat.work()
                    self._take_safely(event)
                    self._beat.rest()
            except Exception:  # noqa: BLE001 - a loop's shell: logged, and the stream is opened anew
                _log.exception("events.broke")
            self._silence()
            patience.wait()

    def _take_safely(self, event: EngineEvent) -> None:
        try:
            self._take(event)
        except Exception:  # noqa: BLE001 - a loop's shell: logged; a list makes up for what this event told
            _log.exception("event.broke", kind=event.kind, container=event.container_id)
            self._post(EngineConnected())

    def _take(self, event: EngineEvent) -> None:
        match event.kind:
            case EngineEventKind.CONNECTED:
                _log.info("engine.connected")
                self._attempts.hear()
                self._post(EngineConnected())
            case EngineEventKind.DISCONNECTED:
                _log.warning("engine.disconnected", detail=event.detail)
                self._silence(event.detail)
            case EngineEventKind.DIE:
                self._on_exit(event)
            case EngineEventKind.DESTROY:
                self._attempts.note(event)
                self._on_gone(event)
            case _:
                self._attempts.note(event)

    def _silence(self, why: str = "") -> None:
        self._attempts.deafen(why)
        self._on_silence()
