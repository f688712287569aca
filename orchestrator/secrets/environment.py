"""Secrets in the scheduler's own environment: `ORCHESTRATOR_SECRET_X`, `ORCHESTRATOR_VAR_X`, `ORCHESTRATOR_CONN_X`,
and what Airflow calls `AIRFLOW_VAR_X` and `AIRFLOW_CONN_X`."""

import os
from collections.abc import Mapping

from orchestrator.spec.secrets import SecretKind, variable_suffix

_PREFIXES: Mapping[SecretKind, tuple[str, ...]] = {
    SecretKind.SECRET: ("ORCHESTRATOR_SECRET_",),
    SecretKind.VARIABLE: ("ORCHESTRATOR_VAR_", "AIRFLOW_VAR_"),
    SecretKind.CONNECTION: ("ORCHESTRATOR_CONN_", "AIRFLOW_CONN_"),
}


class EnvironmentSecrets:
    """A `Secrets` over environment variables. An empty one counts as not set."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def find(self, kind: SecretKind, stored_id: str) -> bytes | None:
        found = (self._environment.get(name) for name in _names(kind, stored_id))
        return next((os.fsencode(text) for text in found if text), None)

    def places(self, kind: SecretKind, stored_id: str) -> tuple[str, ...]:
        return tuple(f"the scheduler's variable {name}" for name in _names(kind, stored_id))


def _names(kind: SecretKind, stored_id: str) -> tuple[str, ...]:
    return tuple(f"{prefix}{variable_suffix(stored_id)}" for prefix in _PREFIXES[kind])
