"""Containers and volumes of foreground runs whose process was killed: recognised by a dead owner, and removed. Only
those of this home's own test deployments, by their ids and under their own names (invariant I13)."""

import re
from collections.abc import Mapping

import structlog

from orchestrator.engines.owners import OWNER_LABEL, is_alive
from orchestrator.ids import (
    DEPLOYMENT_LABEL,
    KIND_LABEL,
    TRY_KIND,
    ContainerId,
    DeploymentId,
    is_container_name,
    is_helper_name,
    is_run_volume,
)
from orchestrator.ports import Engine
from orchestrator.spec.container import ContainerFacts

_log = structlog.get_logger()

#: What the engine calls volumes that nobody named, as those of a try's own are.
_NAMELESS = re.compile(r"[0-9a-f]{64}")


def sweep_trials(engine: Engine, trials: DeploymentId) -> int:
    """Remove what dead foreground runs left whose deployments begin with `trials`; returns how many containers."""
    removed = 0
    for facts in engine.list_owned(OWNER_LABEL):
        if _is_orphan(facts.labels, trials) and _is_ours(facts):
            _log.info("trial.leftover_removed", container=facts.id, name=facts.name)
            removed += engine.remove(ContainerId(facts.id), force=True)
    for volume in engine.list_owned_volumes(OWNER_LABEL):
        nameless = _NAMELESS.fullmatch(volume.name) is not None
        if _is_orphan(volume.labels, trials) and (nameless or is_run_volume(volume.name, volume.labels)):
            _log.info("trial.leftover_removed", volume=volume.name)
            engine.remove_volume(volume.name)
    return removed


def _is_ours(facts: ContainerFacts) -> bool:
    """A try's, or one that serves a try, by the name that its labels give it."""
    if facts.labels.get(KIND_LABEL) == TRY_KIND:
        return is_container_name(facts.name, facts.labels)
    return is_helper_name(facts.name, facts.labels)


def _is_orphan(labels: Mapping[str, str], trials: DeploymentId) -> bool:
    ours = labels.get(DEPLOYMENT_LABEL, "").startswith(f"{trials}t")
    return ours and not is_alive(labels[OWNER_LABEL])
