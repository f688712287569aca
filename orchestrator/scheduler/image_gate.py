"""Images for tries that are being prepared: each wanted image is got once for each run, however many tasks wait
for it, and they all hear what is waited for."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog

from orchestrator.clock import Clock
from orchestrator.errors import EngineUnavailableError, ImageError, SecretError, SecretUnavailableError
from orchestrator.ids import RunKey
from orchestrator.planning.rows import Reason
from orchestrator.ports import Images, RegistryLogin
from orchestrator.scheduler.patience import Patience
from orchestrator.scheduler.unsealing import secret_reason
from orchestrator.scheduler.vigil import Vigil
from orchestrator.scheduler.workers import Workers
from orchestrator.spec.container import ImageFacts
from orchestrator.spec.dag import PullPolicy
from orchestrator.spec.value import Value
from orchestrator.states import ReasonCode

_log = structlog.get_logger()

#: Threads that wait for images, each for one at a time.
_WAITERS = 8
#: Images whose facts are remembered.
_REMEMBERED = 4096


class Wanted(Value, frozen=True, kw_only=True):
    """An image as one run pinned it, and how it may be got."""

    run: RunKey
    pinned: str
    platform: str | None
    pull: PullPolicy
    timeout: timedelta
    login: str | None = None  #: id of the connection that logs in to its registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiter:
    """Who waits: `done` is called once, with the image's facts or why there is none; `delayed` while waiting."""

    done: Callable[[ImageFacts | Reason], None]
    delayed: Callable[[Reason], None]


class ImageGate:
    """Gets images in the background. With `one_attempt` trouble that may pass is not waited for."""

    def __init__(
        self,
        images: Images,
        clock: Clock,
        vigil: Vigil,
        login: Callable[[str], RegistryLogin],
        *,
        one_attempt: bool,
    ) -> None:
        """`login` is that of a connection's id; raises `SecretError`."""
        self._images = images
        self._clock = clock
        self._vigil = vigil
        self._login = login
        self._one_attempt = one_attempt
        self._stop = threading.Event()
        self._workers = Workers(_WAITERS, "image")
        self._lock = threading.Lock()
        self._facts: dict[Wanted, ImageFacts] = {}
        self._waiting: dict[Wanted, list[Waiter]] = {}
        self._delays: dict[Wanted, Reason] = {}  #: the last that was told to who waits

    def get(self, wanted: Wanted, waiter: Waiter) -> None:
        """Call `waiter.done`: at once, in this thread, where the image is known, else from another one. Who comes
        while others wait is told for what."""
        with self._lock:
            facts, delay = self._facts.get(wanted), self._delays.get(wanted)
            first = facts is None and wanted not in self._waiting
            if facts is None:
                self._waiting.setdefault(wanted, []).append(waiter)
        if facts is not None:
            waiter.done(facts)
        elif first:
            self._workers.submit(lambda: self._fetch(wanted))
        elif delay is not None:
            waiter.delayed(delay)

    def expect(self, wanted: Wanted) -> None:
        """Get the image ahead; who needs it hears of trouble."""
        self.get(wanted, Waiter(done=lambda _: None, delayed=lambda _: None))

    def close(self) -> None:
        """Get nothing more. A pull or build that is under way is left to the engine: nobody waits for it."""
        self._stop.set()
        self._workers.close()

    def join(self, seconds: float) -> bool:
        return self._workers.join(seconds)

    def _fetch(self, wanted: Wanted) -> None:
        outcome = self._ensured(wanted)
        if outcome is None:
            return
        with self._lock:
            waiters = self._waiting.pop(wanted, [])
            self._delays.pop(wanted, None)
            if isinstance(outcome, ImageFacts):
                self._facts[wanted] = outcome
                while len(self._facts) > _REMEMBERED:
                    del self._facts[next(iter(self._facts))]
        for waiter in waiters:
            waiter.done(outcome)

    def _ensured(self, wanted: Wanted) -> ImageFacts | Reason | None:
        """The image's facts, or why it cannot be had; None when the process is stopping."""
        patience = Patience(self._clock, self._stop)
        since = self._clock.now()
        while not self._stop.is_set():
            try:
                return self._images.ensure(
                    wanted.pinned,
                    pull=wanted.pull,
                    platform=wanted.platform,
                    timeout=wanted.timeout,
                    login=self._login(wanted.login) if wanted.login else None,
                    progress=lambda reason: self._delayed(wanted, reason),
                )
            except ImageError as error:
                reason = image_reason(error)
                if not error.wait or self._one_attempt or self._vigil.is_over(since, wanted.timeout):
                    return reason
                self._delayed(wanted, reason)
            except SecretUnavailableError as trouble:
                self._delayed(wanted, secret_reason(trouble))
            except SecretError as error:
                return secret_reason(error)
            except EngineUnavailableError as error:
                self._delayed(wanted, Reason(code=ReasonCode.ENGINE_DOWN, text=error.message))
            except Exception as error:  # noqa: BLE001 - a thread's shell: logged, and fails who waits
                _log.exception("image.broke", image=wanted.pinned)
                text = f"getting {wanted.pinned} broke: {error!r}"
                return Reason(code=ReasonCode.IMAGE_BUILD_FAILED, text=text)
            patience.wait()
        return None

    def _delayed(self, wanted: Wanted, reason: Reason) -> None:
        with self._lock:
            waiters = tuple(self._waiting.get(wanted, ()))
            if wanted in self._waiting:
                self._delays[wanted] = reason
        for waiter in waiters:
            waiter.delayed(reason)


def image_reason(error: ImageError) -> Reason:
    """An image's error as a task's reason."""
    return Reason(code=ReasonCode(error.code), text=error.sentence)
