"""Facts of one try, for tests of templates."""

from datetime import UTC, datetime
from typing import Any

from orchestrator.spec.dag import RetryPolicy, TaskSpec
from orchestrator.states import RunType
from orchestrator.templating.context import PastRun, TemplateFacts, build_context


def facts(**changes: Any) -> TemplateFacts:
    values: dict[str, Any] = {
        "dag_id": "flights",
        "run_id": "scheduled__2013-01-31T00:00:00+00:00",
        "task": TaskSpec(
            task_id="rank", owner="ann", upstream=("fetch",), params={"top": 5}, retry=RetryPolicy(retries=2)
        ),
        "map_index": -1,
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
            start=datetime(2013, 1, 29, tzinfo=UTC),
            end=datetime(2013, 1, 30, tzinfo=UTC),
            started_at=datetime(2013, 1, 30, 0, 0, 2, tzinfo=UTC),
        ),
        "timezone": "UTC",
        "dag_params": {"top": 10, "city": "New York"},
        "dag_tags": ("air", "daily"),
        "dag_owner": "ann",
        "dag_file": "flights.py",
        "test_mode": False,
        "pins": {"flights": "orchestrator/flights:0123456789ab"},
    }
    return TemplateFacts(**(values | changes))


def context(results: dict[str, bytes] | None = None, **changes: Any) -> dict[str, Any]:
    return build_context(facts(**changes), (results or {}).get)
