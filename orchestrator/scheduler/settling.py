"""What to do with a container that is already there for an open try: the fence of invariants I1 and I3.

One that a later leader made is not touched: this process leads no more, whether it knows or not. Of the others none
is ever started by anybody but the process that created it. Running or exited: adopted.
Created only: removed without force and created anew. If anybody may have sent its start (an earlier process, or
this one without an answer), its `destroy` event is awaited first; where a `start` event came before that, or the
event stream broke meanwhile, the try may have run and is lost.
"""

import contextlib
from collections.abc import Callable
from enum import Enum, auto

import structlog

from orchestrator.clock import Clock
from orchestrator.errors import (
    ContainerRunningError,
    EngineUnavailableError,
    LogUnavailableError,
    NameTakenError,
    NoSuchContainerError,
)
from orchestrator.ids import (
    DEPLOYMENT_LABEL,
    EPOCH_LABEL,
    KIND_LABEL,
    TRY_KIND,
    TRY_LABEL,
    ContainerId,
    DeploymentId,
    Epoch,
)
from orchestrator.planning.events import Started
from orchestrator.planning.rows import Reason
from orchestrator.ports import Engine
from orchestrator.scheduler.attempts import Fate, OpenAttempt, OpenAttempts
from orchestrator.scheduler.endings import Endings
from orchestrator.scheduler.inbox import Fenced, Message
from orchestrator.scheduler.pump import LogPump
from orchestrator.spec.container import ContainerFacts, ContainerState
from orchestrator.states import ReasonCode

_log = structlog.get_logger()

#: Times to wait a second for the `destroy` event of a removed container: of one long wait nothing would be left for
#: a process that slept.
_DESTROY_SECONDS = 30
#: The same where nobody knows whether the removal took effect.
_UNANSWERED_SECONDS = 2


class Settled(Enum):
    """What became of a container that was met."""

    CLEARED = auto()  #: it is gone and never ran: the try may be created anew
    DONE = auto()  #: the try's way is decided: adopted, collected, lost or refused


class Settling:
    """Decides about containers met for open tries; tells the loop by events."""

    def __init__(
        self,
        engine: Engine,
        deployment: DeploymentId,
        epoch: Epoch,
        attempts: OpenAttempts,
        endings: Endings,
        pump: LogPump,
        *,
        leads: Callable[[], bool],
        found_exited: Callable[[OpenAttempt, ContainerFacts], None],
        post: Callable[[Message], None],
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._deployment = deployment
        self._epoch = epoch
        self._attempts = attempts
        self._endings = endings
        self._pump = pump
        self._leads = leads
        self._found_exited = found_exited
        self._post = post
        self._clock = clock

    def conflict(self, entry: OpenAttempt, taken: NameTakenError) -> Settled:
        """Create met another container of the try's name. Raises `EngineUnavailableError`: try again later."""
        try:
            facts = self._engine.inspect(ContainerId(taken.holder or taken.name))
        except NoSuchContainerError:
            return Settled.CLEARED
        ours = facts.labels.get(DEPLOYMENT_LABEL) == self._deployment and facts.labels.get(KIND_LABEL) == TRY_KIND
        if not ours:
            text = f"{taken.message}, which is not ours. Remove or rename it: docker rm {facts.name}"
            self._endings.refused(entry, Reason(code=ReasonCode.CREATE_REFUSED, text=text))
            return Settled.DONE
        if self._is_of_a_later_leader(facts):
            return Settled.DONE
        if facts.labels.get(TRY_LABEL) != entry.try_id:
            _log.warning("container.older_life_removed", container=facts.id, name=facts.name)
            self._engine.remove(ContainerId(facts.id), force=True)
            return Settled.CLEARED
        return self.settle(entry, facts)

    def settle(self, entry: OpenAttempt, facts: ContainerFacts) -> Settled:
        """A container that carries this try's id and name was found. Raises `EngineUnavailableError`: try again
        later."""
        if self._is_of_a_later_leader(facts):
            return Settled.DONE
        try:
            return self._settle(entry, facts)
        except NoSuchContainerError:  # it was removed by others, under our hands
            self._endings.vanished(entry)
            return Settled.DONE

    def follow(self, entry: OpenAttempt, container: ContainerId, *, runs: bool) -> None:
        """Go on with the log of a try that runs or has exited, unless its log was closed in between."""
        self._pump.adopt(entry.attempt.key, self._engine, container, part=entry.attempt.look, runs=runs)
        if not self._attempts.is_open(entry):
            with contextlib.suppress(LogUnavailableError):
                self._pump.close(entry.attempt.key)

    def _is_of_a_later_leader(self, facts: ContainerFacts) -> bool:
        """Whether somebody who leads after us made it, and has not come here from an older copy of the database:
        then this process was stopped for a while, has not been told yet, and touches nothing any more."""
        epoch = facts.labels.get(EPOCH_LABEL, "")
        if not epoch.isdigit() or int(epoch) <= self._epoch or self._leads():
            return False
        _log.error("container.of_a_later_leader", container=facts.id, epoch=epoch)
        self._post(Fenced())
        return True

    def _settle(self, entry: OpenAttempt, facts: ContainerFacts) -> Settled:
        match facts.state:
            case ContainerState.RUNNING:
                self._adopt(entry, facts)
            case ContainerState.EXITED:
                self._adopt(entry, facts)
                self._found_exited(entry, facts)
            case ContainerState.CREATED:
                return self._clear(entry, facts)
        return Settled.DONE

    def _adopt(self, entry: OpenAttempt, facts: ContainerFacts) -> None:
        container = ContainerId(facts.id)
        entry.container_id = container
        entry.started = True
        if not entry.told_started:
            _log.info("try.adopted", try_id=entry.try_id, container=container, state=facts.state)
            self._tell_started(entry, facts)  # before its log, which takes a while to find its place
        self.follow(entry, container, runs=facts.state is ContainerState.RUNNING)

    def _tell_started(self, entry: OpenAttempt, facts: ContainerFacts) -> None:
        """Once, however often the engine was away. A start of our own that was not answered is no adoption."""
        if facts.started_at is not None:
            entry.told_started = True
            entry.started_at = facts.started_at
            self._post(
                Started(
                    try_id=entry.try_id,
                    container_id=ContainerId(facts.id),
                    at=facts.started_at,
                    adopted=not entry.start_sent,
                )
            )

    def _clear(self, entry: OpenAttempt, facts: ContainerFacts) -> Settled:
        container = ContainerId(facts.id)
        if facts.labels.get(EPOCH_LABEL) == str(self._epoch) and not entry.start_sent:
            self._engine.remove(container)  # ours alone, and we never sent a start
        elif not self._attempts.listening:
            raise EngineUnavailableError("the event stream, which tells whether a container started, is away")
        else:
            fate = self._attempts.watch(container)
            try:
                return self._clear_watched(entry, container, fate)
            finally:
                self._attempts.unwatch(container)
        return self._cleared(entry)

    def _clear_watched(self, entry: OpenAttempt, container: ContainerId, fate: Fate) -> Settled:
        facts = self._engine.inspect(container)  # again: it may have started before we watched
        if facts.state is not ContainerState.CREATED:
            return self._settle(entry, facts)
        entry.container_id = container
        entry.clearing = True  # until it is known that it never ran, even if the engine goes away now
        try:
            self._engine.remove(container)
        except ContainerRunningError:
            return self._settle(entry, self._engine.inspect(container))
        except EngineUnavailableError:
            if not self._gone_unstarted(fate, _UNANSWERED_SECONDS):
                raise
        else:
            if not self._gone_unstarted(fate, _DESTROY_SECONDS):
                self._endings.vanished(entry)
                return Settled.DONE
        return self._cleared(entry)

    def _gone_unstarted(self, fate: Fate, seconds: int) -> bool:
        known = any(self._clock.wait(fate.known, 1.0) for _ in range(seconds))
        return known and not fate.missed and not fate.started

    def _cleared(self, entry: OpenAttempt) -> Settled:
        with contextlib.suppress(LogUnavailableError):  # not marked as whole: the next container begins it anew
            self._pump.close(entry.attempt.key)
        entry.clearing = entry.start_sent = False
        entry.container_id = None
        return Settled.CLEARED
