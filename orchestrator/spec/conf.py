"""What a run may be asked for with: its conf, against the params of its DAG and of the DAG's tasks."""

from collections.abc import Mapping
from typing import Any

from orchestrator.spec.dag import DagSpec
from orchestrator.spec.params import problems_of

#: Problems that a message names.
_TOLD = 5


def conf_problem(dag: DagSpec, conf: Mapping[str, Any]) -> str | None:
    """What is wrong with a run's conf, in words; None where every param has a value that fits. Pure and quick: the
    loop that writes run state asks too."""
    found = list(problems_of(dag.params, conf))
    for task in dag.tasks:
        found += problems_of(task.params, conf)
    problems = list(dict.fromkeys(found))
    more = f" (and {len(problems) - _TOLD} more)" if len(problems) > _TOLD else ""
    return f"{'; '.join(problems[:_TOLD])}{more}" if problems else None
