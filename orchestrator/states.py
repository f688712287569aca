"""The closed sets of the product: states, their legal moves, run types, trigger rules, reason codes.
Source of the tables: spec scheduling 2 and 3. The diagram is in ARCHITECTURE.md.
"""

from collections.abc import Mapping
from enum import StrEnum


class TaskState(StrEnum):
    """State of a task instance. `waiting` for parents; `queued` for image, rendering, limits."""

    WAITING = "waiting"
    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    UP_FOR_RETRY = "up_for_retry"
    UP_FOR_RESCHEDULE = "up_for_reschedule"
    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"
    UPSTREAM_FAILED = "upstream_failed"
    REMOVED = "removed"

    @property
    def final(self) -> bool:
        return self in FINAL_TASK_STATES

    @property
    def holds_slot(self) -> bool:
        """Whether an instance in this state counts against limits."""
        return self in (TaskState.STARTING, TaskState.RUNNING)


FINAL_TASK_STATES = frozenset(
    {TaskState.SUCCESS, TaskState.FAILED, TaskState.SKIPPED, TaskState.UPSTREAM_FAILED, TaskState.REMOVED}
)
_T = TaskState
TASK_MOVES: Mapping[TaskState, frozenset[TaskState]] = {
    _T.WAITING: frozenset({_T.QUEUED, _T.SKIPPED, _T.UPSTREAM_FAILED, _T.SUCCESS, _T.FAILED, _T.REMOVED}),
    _T.QUEUED: frozenset({_T.STARTING, _T.FAILED, _T.SKIPPED, _T.UP_FOR_RETRY}),
    _T.STARTING: frozenset({_T.RUNNING, _T.SUCCESS, _T.FAILED, _T.SKIPPED, _T.UP_FOR_RETRY, _T.UP_FOR_RESCHEDULE}),
    _T.RUNNING: frozenset({_T.SUCCESS, _T.FAILED, _T.SKIPPED, _T.UP_FOR_RETRY, _T.UP_FOR_RESCHEDULE}),
    _T.UP_FOR_RETRY: frozenset({_T.QUEUED, _T.FAILED, _T.SKIPPED}),
    _T.UP_FOR_RESCHEDULE: frozenset({_T.QUEUED, _T.FAILED, _T.SKIPPED}),
    **{state: frozenset({_T.WAITING}) for state in FINAL_TASK_STATES},
}


class RunState(StrEnum):
    """State of a DAG run."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        return self in (RunState.SUCCESS, RunState.FAILED)


RUN_MOVES: Mapping[RunState, frozenset[RunState]] = {
    RunState.QUEUED: frozenset({RunState.RUNNING, RunState.FAILED}),
    RunState.RUNNING: frozenset({RunState.SUCCESS, RunState.FAILED}),
    RunState.SUCCESS: frozenset({RunState.QUEUED}),
    RunState.FAILED: frozenset({RunState.QUEUED}),
}


class Reprocess(StrEnum):
    """What a backfill does about intervals that have a run: nothing, clear it where it failed, or always."""

    NONE = "none"
    FAILED = "failed"
    ALL = "all"


class RunType(StrEnum):
    """Why a run exists; the prefix of its run id."""

    SCHEDULED = "scheduled"
    MANUAL = "manual"
    BACKFILL = "backfill"
    ASSET_TRIGGERED = "asset_triggered"


class TriggerRule(StrEnum):
    """When a task is ready, judged on its direct parents' final states (spec scheduling 2)."""

    ALL_SUCCESS = "all_success"
    ALL_FAILED = "all_failed"
    ALL_DONE = "all_done"
    ALL_SKIPPED = "all_skipped"
    ONE_SUCCESS = "one_success"
    ONE_FAILED = "one_failed"
    ONE_DONE = "one_done"
    NONE_FAILED = "none_failed"
    NONE_FAILED_MIN_ONE_SUCCESS = "none_failed_min_one_success"
    NONE_SKIPPED = "none_skipped"
    ALL_DONE_MIN_ONE_SUCCESS = "all_done_min_one_success"
    ALWAYS = "always"


#: Older names of trigger rules that Airflow users still write.
TRIGGER_RULE_ALIASES: Mapping[str, TriggerRule] = {
    "dummy": TriggerRule.ALWAYS,
    "none_failed_or_skipped": TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
}


class ReasonCode(StrEnum):
    """Why a task instance waits, was skipped, or failed (spec scheduling 3). What to do about each is in
    `next_steps`, which knows them all."""

    EXIT_CODE = "exit_code"
    OOM_KILLED = "oom_killed"
    SIGNAL = "signal"
    TIMEOUT = "timeout"
    START_TIMEOUT = "start_timeout"
    IDLE_TIMEOUT = "idle_timeout"
    IMAGE_MISSING = "image_missing"
    IMAGE_PULL_FAILED = "image_pull_failed"
    IMAGE_BUILD_FAILED = "image_build_failed"
    PLATFORM_MISMATCH = "platform_mismatch"
    CREATE_REFUSED = "create_refused"
    MOUNT_MISSING = "mount_missing"
    NETWORK_MISSING = "network_missing"
    COMMAND_MISSING = "command_missing"
    RENDER_ERROR = "render_error"
    POLICY = "policy"
    SECRET_MISSING = "secret_missing"  # noqa: S105 - the name of a reason
    SECRET_INVALID = "secret_invalid"  # noqa: S105 - see above
    RESULT_INVALID = "result_invalid"
    CHOICE_INVALID = "choice_invalid"
    RESULT_TOO_LARGE = "result_too_large"
    PROMOTION_FAILED = "promotion_failed"
    MAP_TOO_LONG = "map_too_long"
    NO_ELEMENTS = "no_elements"
    KILLED_BY = "killed_by"
    MARKED_BY = "marked_by"
    CLEARED = "cleared"
    UPSTREAM = "upstream"
    BRANCH = "branch"
    SHORT_CIRCUIT = "short_circuit"
    NOT_LATEST = "not_latest"
    OUTSIDE_DATES = "outside_dates"
    FAIL_FAST = "fail_fast"
    FAILED_IN_ROW = "failed_in_row"
    SKIP_EXIT_CODE = "skip_exit_code"
    NOT_READY = "not_ready"
    CACHED = "cached"
    REJECTED = "rejected"
    NOBODY_TO_ASK = "nobody_to_ask"
    RUN_EXISTS = "run_exists"
    RUN_REFUSED = "run_refused"
    TRIGGERED_RUN = "triggered_run"
    DAG_MISSING = "dag_missing"
    NEVER_MEETS = "never_meets"
    EXTERNAL = "external"
    WAIT_TIMEOUT = "wait_timeout"
    SENSOR_TIMEOUT = "sensor_timeout"
    ENGINE_LOST = "engine_lost"
    CONTAINER_LOST = "container_lost"
    STOPPED_EXTERNALLY = "stopped_externally"
    POOL_MISSING = "pool_missing"
    ENGINE_TOO_SMALL = "engine_too_small"
    # why something waits
    NO_SCHEDULER = "no_scheduler"
    ENGINE_DOWN = "engine_down"
    DATABASE_DOWN = "database_down"
    IMAGE_BUILDING = "image_building"
    IMAGE_PULLING = "image_pulling"
    RETRY_DELAY = "retry_delay"
    PARALLELISM = "parallelism"
    POOL_FULL = "pool_full"
    CONCURRENCY_KEY = "concurrency_key"
    ENGINE_FULL = "engine_full"
    HELD = "held"
    MAX_ACTIVE_TASKS = "max_active_tasks"
    MAX_ACTIVE_RUNS = "max_active_runs"
    MAX_ACTIVE_TIS = "max_active_tis"
    DEPENDS_ON_PAST = "depends_on_past"
    APPROVAL = "approval"
    PREPARING = "preparing"
    SECRET_UNAVAILABLE = "secret_unavailable"  # noqa: S105 - see above
    PAUSED = "paused"
    DAG_INACTIVE = "dag_inactive"
    NOT_DUE = "not_due"
    ASSETS = "assets"
    UNSCHEDULED = "unscheduled"
    OUTSIDE_SCHEDULE = "outside_schedule"


#: A try that ended so spends the infrastructure budget, not `retries` (spec scheduling 5).
INFRASTRUCTURE_REASONS = frozenset(
    {
        ReasonCode.ENGINE_LOST,
        ReasonCode.CONTAINER_LOST,
        ReasonCode.STOPPED_EXTERNALLY,
    }
)
