"""Containers and volumes of foreground runs whose process was killed: recognised by a dead owner, and removed. Only
those of this home's own test deployments, by their ids (invariant I13)."""

from collections.abc import Mapping

import structlog

from orchestrator.engines.owners import OWNER_LABEL, is_alive
from orchestrator.ids import DEPLOYMENT_LABEL, ContainerId, DeploymentId
from orchestrator.ports import Engine

_log = structlog.get_logger()


def sweep_trials(engine: Engine, trials: DeploymentId) -> int:
    """Remove what dead foreground runs left whose deployments begin with `trials`; returns how many containers."""
    removed = 0
    for facts in engine.list_owned(OWNER_LABEL):
        if _is_orphan(facts.labels, trials):
            _log.info("trial.leftover_removed", container=facts.id, name=facts.name)
            removed += engine.remove(ContainerId(facts.id), force=True)
    for volume in engine.list_owned_volumes(OWNER_LABEL):
        if _is_orphan(volume.labels, trials):
            _log.info("trial.leftover_removed", volume=volume.name)
            engine.remove_volume(volume.name)
    return removed


def _is_orphan(labels: Mapping[str, str], trials: DeploymentId) -> bool:
    ours = labels.get(DEPLOYMENT_LABEL, "").startswith(f"{trials}t")
    return ours and not is_alive(labels[OWNER_LABEL])
