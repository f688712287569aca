"""What becomes of a container of ours at the next look at the engine, by what the rows say of its try: the rule by
which the reconciler removes, and what a person is shown who asks beforehand."""

from datetime import datetime
from enum import StrEnum

from orchestrator.planning.rows import Try
from orchestrator.scheduler.keeping import is_kept
from orchestrator.spec.container import ContainerFacts, ContainerState


class Upkeep(StrEnum):
    """What is done with a container."""

    FOLLOW = "follow"  #: its try is open, and it runs
    COLLECT = "collect"  #: it has ended, and its outcome, its log or its removal are to come
    MAKE_ANEW = "make anew"  #: its try is open, and it was never started
    KEEP = "keep"  #: its try asked for that, and it goes later
    REMOVE = "remove"  #: its try is over and collected
    LEAVE = "leave"  #: no row knows it by this id and name: it is not ours to touch


def upkeep_of(facts: ContainerFacts, known: Try | None, now: datetime) -> Upkeep:
    """`known` is the try that its label names, None where no row has it."""
    if known is None or known.spec.name != facts.name:
        return Upkeep.LEAVE
    if known.removed_at is not None:
        runs = facts.state is ContainerState.RUNNING
        return Upkeep.KEEP if is_kept(known, now) and not runs else Upkeep.REMOVE
    if known.outcome is not None or facts.state is ContainerState.EXITED:
        return Upkeep.COLLECT
    return Upkeep.FOLLOW if facts.state is ContainerState.RUNNING else Upkeep.MAKE_ANEW
