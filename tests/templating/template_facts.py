"""Facts of one try, for tests of templates."""

from datetime import UTC, datetime
from typing import Any

from orchestrator.ids import TaskKey
from orchestrator.spec.dag import DagSpec, RetryPolicy, TaskSpec
from orchestrator.spec.params import ParamSpec
from orchestrator.states import RunType
from orchestrator.templating.context import build_context
from orchestrator.templating.facts import PastRun, TemplateFacts


def facts(**changes: Any) -> TemplateFacts:
    values: dict[str, Any] = {
        "key": TaskKey("flights", "scheduled__2013-01-31T00:00:00+00:00", "rank"),
        "task": TaskSpec(
            task_id="rank",
            owner="ann",
            upstream=("fetch",),
            params={"top": ParamSpec(default=5)},
            retry=RetryPolicy(retries=2),
        ),
        "try_number": 2,
        "run_type": RunType.SCHEDULED,
        "note": None,
        "conf": {},
        "start": datetime(2013, 1, 31, tzinfo=UTC),
        "end": datetime(2013, 2, 1, tzinfo=UTC),
        "started_at": datetime(2013, 2, 1, 0, 0, 1, tzinfo=UTC),
        "next_start": datetime(2013, 2, 1, tzinfo=UTC),
        "previous_start": datetime(2013, 1, 30, tzinfo=UTC),
        "previous_success": PastRun(
            run_id="scheduled__2013-01-29T00:00:00+00:00",
            start=datetime(2013, 1, 29, tzinfo=UTC),
            end=datetime(2013, 1, 30, tzinfo=UTC),
            started_at=datetime(2013, 1, 30, 0, 0, 2, tzinfo=UTC),
        ),
        "dag": DagSpec(
            dag_id="flights",
            file="flights.py",
            tags=("air", "daily"),
            owner="ann",
            timezone=changes.pop("timezone", "UTC"),
            params={"top": ParamSpec(default=10), "city": ParamSpec(default="New York")},
            macros=changes.pop("macros", {}),
        ),
        "test_mode": False,
        "pins": {"flights": "orchestrator/flights:0123456789ab"},
    }
    return TemplateFacts(**(values | changes))


def context(results: dict[str, bytes] | None = None, **changes: Any) -> dict[str, Any]:
    known = results or {}
    return build_context(facts(**changes), lambda key: known.get(key.task_id))
