"""What to do with a container that is already there for an open try: the fence of invariants I1 and I3.

A container of ours is never started by anybody but the process that created it. Running or exited: adopted.
Created only: removed without force, its `destroy` event awaited, created anew; if a `start` event came first,
the try has run and is lost.
"""

from collections.abc import Callable
from enum import Enum, auto

import structlog

from orchestrator.errors import ContainerRunningError, NameTakenError, NoSuchContainerError
from orchestrator.ids import ContainerId, DeploymentId
from orchestrator.planning.events import LaunchFailed, Lost, Started
from orchestrator.planning.rows import Reason
from orchestrator.ports import Engine
from orchestrator.scheduler.attempts import OpenAttempt, OpenAttempts
from orchestrator.scheduler.collector import Collector
from orchestrator.scheduler.inbox import Message
from orchestrator.scheduler.pump import LogPump
from orchestrator.spec.container import ContainerFacts, ContainerState
from orchestrator.states import ReasonCode

_log = structlog.get_logger()

#: Seconds to wait for the `destroy` event of a removed container.
_DESTROY_SECONDS = 30.0


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
        attempts: OpenAttempts,
        pump: LogPump,
        collector: Collector,
        post: Callable[[Message], None],
    ) -> None:
        self._engine = engine
        self._deployment = deployment
        self._attempts = attempts
        self._pump = pump
        self._collector = collector
        self._post = post

    def conflict(self, entry: OpenAttempt, taken: NameTakenError) -> Settled:
        """Create met another container of the try's name."""
        holder = ContainerId(taken.holder or taken.name)
        try:
            facts = self._engine.inspect(holder)
        except NoSuchContainerError:
            return Settled.CLEARED
        if facts.labels.get("orchestrator.deployment") != self._deployment:
            text = f"{taken.message}, which is not ours. Remove or rename it: docker rm {facts.name}"
            self._post(LaunchFailed(try_id=entry.try_id, reason=Reason(code=ReasonCode.CREATE_REFUSED, text=text)))
            return Settled.DONE
        if facts.labels.get("orchestrator.try_id") != entry.try_id:
            _log.warning("container.older_life_removed", container=facts.id, name=facts.name)
            self._engine.remove(ContainerId(facts.id), force=True)
            return Settled.CLEARED
        return self.settle(entry, facts)

    def settle(self, entry: OpenAttempt, facts: ContainerFacts) -> Settled:
        """A container that carries this try's id was found."""
        container = ContainerId(facts.id)
        match facts.state:
            case ContainerState.RUNNING:
                self._adopt(entry, facts)
            case ContainerState.EXITED:
                self._adopt_exited(entry, facts)
            case ContainerState.CREATED:
                return self._clear(entry, container)
        return Settled.DONE

    def vanished(self, entry: OpenAttempt) -> None:
        """A try's container is gone, and nobody knows how it ended."""
        text = "its container is gone from the engine without an outcome (removed by hand?)"
        reason = Reason(code=ReasonCode.CONTAINER_LOST, text=text)
        self._post(Lost(try_id=entry.try_id, reason=reason, ran=entry.started))

    def _adopt(self, entry: OpenAttempt, facts: ContainerFacts) -> None:
        container = ContainerId(facts.id)
        entry.container_id = container
        entry.started = True
        _log.info("try.adopted", try_id=entry.try_id, container=container)
        self._tell_started(entry, facts)  # before its log, which takes a while to find its place
        self._pump.adopt(entry.attempt.key, self._engine, container)

    def _adopt_exited(self, entry: OpenAttempt, facts: ContainerFacts) -> None:
        container = ContainerId(facts.id)
        entry.container_id = container
        entry.started = True
        _log.info("try.found_exited", try_id=entry.try_id, container=container)
        self._tell_started(entry, facts)
        self._pump.adopt(entry.attempt.key, self._engine, container)
        self._collector.found_exited(entry, facts)

    def _tell_started(self, entry: OpenAttempt, facts: ContainerFacts) -> None:
        """Once, however often the engine was away: each telling counts as an adoption."""
        if facts.started_at is not None and not entry.told_started:
            entry.told_started = True
            entry.started_at = facts.started_at
            self._post(
                Started(try_id=entry.try_id, container_id=ContainerId(facts.id), at=facts.started_at, adopted=True)
            )

    def _clear(self, entry: OpenAttempt, container: ContainerId) -> Settled:
        fate = self._attempts.watch(container)
        try:
            facts = self._engine.inspect(container)  # again: it may have started before we watched
            if facts.state is not ContainerState.CREATED:
                return self.settle(entry, facts)
            self._engine.remove(container)
            told = fate.gone.wait(_DESTROY_SECONDS)
        except ContainerRunningError:
            return self.settle(entry, self._engine.inspect(container))
        except NoSuchContainerError:
            return Settled.CLEARED
        finally:
            self._attempts.unwatch(container)
        if told and not fate.started:
            return Settled.CLEARED
        entry.started = True  # known to have run, or not known not to have
        self.vanished(entry)
        return Settled.DONE
