"""What a run may be asked for with: its conf, against the params of its DAG and of the DAG's tasks."""

import difflib
from collections.abc import Iterator, Mapping
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


def conf_doubts(dag: DagSpec, conf: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each of the first few keys of a run's conf that no param has, of a DAG that declares params:
    it may be a slip, and sets none of them. Templates can still read it."""
    known = list(dict.fromkeys((*dag.params, *(name for task in dag.tasks for name in task.params))))
    unknown = [key for key in conf if key not in known] if known else []
    for key in unknown[:_TOLD]:
        nearest = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"it has: {', '.join(known)}"
        yield f"the DAG has no param {key!r}; {hint}"
