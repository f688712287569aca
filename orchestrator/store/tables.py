"""The tables, with what the database itself checks: which columns must agree, what is unique, and the indexes
that the list queries and `load` walk. A change here needs a migration (README); a test compares the two.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    text,
)

from orchestrator.ids import TaskKey
from orchestrator.planning.awaits import Awaits
from orchestrator.planning.rows import Answer, Pending, Reason, RequestKind, Stretch, TryOutcome
from orchestrator.spec.container import ContainerSpec, ExitFacts
from orchestrator.spec.dag import DagSpec, ParsedFile
from orchestrator.states import FINAL_TASK_STATES, Reprocess, RunState, RunType, TaskState
from orchestrator.store.columns import Encoded, Instant, Word
from orchestrator.store.portable import TEXT

METADATA = MetaData(
    naming_convention={
        "pk": "%(table_name)s_key",
        "fk": "%(table_name)s_of_%(referred_table_name)s",
        "ck": "%(table_name)s_%(constraint_name)s",
    }
)


def _words(words: Iterable[StrEnum]) -> str:
    """`('a', 'b')`, for SQL."""
    return "(" + ", ".join(f"'{word.value}'" for word in sorted(words)) + ")"


def _run() -> tuple[Column[str], Column[str]]:
    return Column("dag_id", TEXT, primary_key=True), Column("run_id", TEXT, primary_key=True)


def _task() -> tuple[Column[Any], ...]:
    return (
        *_run(),
        Column("task_id", TEXT, primary_key=True),
        Column("map_index", Integer, primary_key=True, autoincrement=False),
    )


_TASK_COLUMNS = ("dag_id", "run_id", "task_id", "map_index")
#: An instance that waits for another try keeps the end of its last one.
_RESTING = FINAL_TASK_STATES | {TaskState.UP_FOR_RETRY, TaskState.UP_FOR_RESCHEDULE}
_FINAL_RUN_STATES = _words(state for state in RunState if state.final)

deployment = Table(
    "deployment",
    METADATA,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("deployment_id", TEXT, nullable=False),
    CheckConstraint("one = 1", name="is_one_row"),
)

leader = Table(
    "leader",
    METADATA,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Integer, nullable=False),
    Column("owner", TEXT, nullable=False),
    Column("taken_at", Instant),
    Column("expires_at", Instant),
    CheckConstraint("one = 1", name="is_one_row"),
)

standbys = Table(
    "standbys",
    METADATA,
    Column("owner", TEXT, primary_key=True),
    Column("since", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
)

dag_files = Table(
    "dag_files",
    METADATA,
    Column("file", TEXT, primary_key=True),
    Column("parsed", Encoded(ParsedFile), nullable=False),
    Column("parsed_at", Instant, nullable=False),
)

dag_versions = Table(
    "dag_versions",
    METADATA,
    Column("dag_id", TEXT, primary_key=True),
    Column("version", TEXT, primary_key=True),
    Column("spec", Encoded(DagSpec), nullable=False),
    Column("created_at", Instant, nullable=False),
)

dags = Table(
    "dags",
    METADATA,
    Column("dag_id", TEXT, primary_key=True),
    Column("version", TEXT, nullable=False),
    Column("file", TEXT, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("last_start", Instant),
    Column("last_end", Instant),
    Column("held", Boolean, nullable=False, server_default="0"),
    Column("failed_in_row", Integer, nullable=False, server_default="0"),
    Column("pause_reason", Encoded(Reason)),
    Column("filled", Encoded(tuple[datetime, ...]), nullable=False, server_default="[]"),
    Column("since", Instant),
    ForeignKeyConstraint(["dag_id", "version"], ["dag_versions.dag_id", "dag_versions.version"]),
    CheckConstraint("(last_start IS NULL) = (last_end IS NULL)", name="last_is_whole"),
    CheckConstraint("last_start <= last_end", name="last_in_order"),
)

runs = Table(
    "runs",
    METADATA,
    *_run(),
    Column("run_type", Word(RunType), nullable=False),
    Column("state", Word(RunState), nullable=False),
    Column("version", TEXT, nullable=False),
    Column("interval_start", Instant, nullable=False),
    Column("interval_end", Instant, nullable=False),
    Column("conf", Encoded(dict[str, Any]), nullable=False),
    Column("note", TEXT),
    Column("actor", TEXT, nullable=False),
    Column("images", Encoded(dict[str, str])),
    Column("reason", Encoded(Reason)),
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("ended_at", Instant),
    Column("cleared_at", Instant),
    Column("backfill", Integer),
    Column("free_of_past", Boolean, nullable=False, server_default="0"),
    Column("triggered_by", Encoded(TaskKey)),
    Column("consumed", Encoded(dict[str, Stretch]), nullable=False, server_default="{}"),
    Column("deadline_missed_at", Instant),
    ForeignKeyConstraint(["dag_id", "version"], ["dag_versions.dag_id", "dag_versions.version"]),
    CheckConstraint(f"state IN {_words(RunState)}", name="state_known"),
    CheckConstraint(f"(ended_at IS NOT NULL) = (state IN {_FINAL_RUN_STATES})", name="ended_when_final"),
    CheckConstraint("state <> 'running' OR started_at IS NOT NULL", name="started_when_running"),
    CheckConstraint("interval_start <= interval_end", name="interval_in_order"),
)
_FOR_BACKFILL = text("backfill IS NOT NULL")
Index("runs_of_backfill", runs.c.backfill, sqlite_where=_FOR_BACKFILL, postgresql_where=_FOR_BACKFILL)
Index("runs_newest", runs.c.created_at, runs.c.dag_id, runs.c.run_id)
Index("runs_newest_in_dag", runs.c.dag_id, runs.c.created_at, runs.c.run_id)
Index("runs_newest_in_state", runs.c.state, runs.c.created_at, runs.c.dag_id, runs.c.run_id)
Index("runs_newest_in_dag_and_state", runs.c.dag_id, runs.c.state, runs.c.created_at, runs.c.run_id)
Index("runs_by_date_in_dag", runs.c.dag_id, runs.c.interval_start)
Index("runs_latest_in_dag_and_state", runs.c.dag_id, runs.c.state, runs.c.interval_start, runs.c.run_id)
_SCHEDULED = text("run_type = 'scheduled'")
Index(
    "runs_scheduled_once",
    runs.c.dag_id,
    runs.c.interval_start,
    runs.c.interval_end,
    unique=True,
    sqlite_where=_SCHEDULED,
    postgresql_where=_SCHEDULED,
)

_LATE = text("deadline_missed_at IS NOT NULL")
Index("runs_late", runs.c.deadline_missed_at, sqlite_where=_LATE, postgresql_where=_LATE)

task_instances = Table(
    "task_instances",
    METADATA,
    *_task(),
    Column("state", Word(TaskState), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("losses", Integer, nullable=False),
    Column("reason", Encoded(Reason)),
    Column("queued_at", Instant),
    Column("started_at", Instant),
    Column("ended_at", Instant),
    Column("due_at", Instant),
    Column("sizes", Encoded(dict[str, int]), nullable=False, server_default="{}"),
    Column("skips", Encoded(tuple[str, ...]), nullable=False, server_default="[]"),
    Column("pokes", Integer, nullable=False, server_default="0"),
    Column("since", Instant),
    Column("target", Word(TaskState)),
    Column("awaits", Encoded(Awaits)),
    Column("label", TEXT, nullable=False, server_default=""),
    Column("deadline_missed_at", Instant),
    ForeignKeyConstraint(["dag_id", "run_id"], ["runs.dag_id", "runs.run_id"]),
    CheckConstraint(f"state IN {_words(TaskState)}", name="state_known"),
    CheckConstraint(f"ended_at IS NOT NULL OR state NOT IN {_words(FINAL_TASK_STATES)}", name="ended_when_final"),
    CheckConstraint(f"ended_at IS NULL OR state IN {_words(_RESTING)}", name="not_ended_when_going"),
    CheckConstraint("state NOT IN ('starting', 'running') OR tries > 0", name="tried_when_starting"),
    CheckConstraint("state <> 'up_for_retry' OR due_at IS NOT NULL", name="due_when_up_for_retry"),
    CheckConstraint(
        "state NOT IN ('failed', 'skipped', 'upstream_failed') OR reason IS NOT NULL",
        name="reason_when_not_success",
    ),
    CheckConstraint("tries >= 0 AND failures >= 0 AND losses >= 0", name="counts_not_negative"),
)

Index("task_instances_late", task_instances.c.deadline_missed_at, sqlite_where=_LATE, postgresql_where=_LATE)

tries = Table(
    "tries",
    METADATA,
    *_task(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("try_id", TEXT, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("spec", Encoded(ContainerSpec), nullable=False),
    Column("intended_at", Instant, nullable=False),
    Column("look", Integer, nullable=False, server_default="1"),
    Column("container_id", TEXT),
    Column("started_at", Instant),
    Column("ended_at", Instant),
    Column("exit", Encoded(ExitFacts)),
    Column("outcome", Word(TryOutcome)),
    Column("reason", Encoded(Reason)),
    Column("stop_requested_at", Instant),
    Column("stop_reason", Encoded(Reason)),
    Column("kill_at", Instant),
    Column("adopted", Integer, nullable=False),
    Column("log_complete", Boolean, nullable=False),
    Column("removed_at", Instant),
    Column("cache_key", TEXT),
    Column("cache_parts", Encoded(dict[str, str]), nullable=False, server_default="{}"),
    Column("note", TEXT, nullable=False, server_default=""),
    ForeignKeyConstraint(_TASK_COLUMNS, [f"task_instances.{name}" for name in _TASK_COLUMNS]),
    CheckConstraint("number > 0", name="number_from_one"),
    CheckConstraint(f"outcome IN {_words(TryOutcome)}", name="outcome_known"),
    CheckConstraint("(ended_at IS NOT NULL) = (outcome IS NOT NULL)", name="ended_with_outcome"),
    CheckConstraint("outcome = 'success' OR outcome IS NULL OR reason IS NOT NULL", name="reason_when_not_success"),
    CheckConstraint("removed_at IS NULL OR outcome IS NOT NULL", name="removed_after_outcome"),
    CheckConstraint("(stop_requested_at IS NULL) = (stop_reason IS NULL)", name="stop_has_reason"),
)
Index("tries_by_id", tries.c.try_id, unique=True)
_UNCOLLECTED = text("removed_at IS NULL")
Index("tries_uncollected", tries.c.try_id, sqlite_where=_UNCOLLECTED, postgresql_where=_UNCOLLECTED)
_CACHED = text("cache_key IS NOT NULL")
Index(
    "tries_by_cache_key",
    tries.c.dag_id,
    tries.c.task_id,
    tries.c.ended_at,
    sqlite_where=_CACHED,
    postgresql_where=_CACHED,
)

results = Table(
    "results",
    METADATA,
    *_task(),
    Column("data", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    ForeignKeyConstraint(_TASK_COLUMNS, [f"task_instances.{name}" for name in _TASK_COLUMNS]),
)

asset_events = Table(
    "asset_events",
    METADATA,
    Column("asset", TEXT, primary_key=True),
    Column("at", Instant, primary_key=True, autoincrement=False),
    Column("extra", LargeBinary, nullable=False),
    Column("source", Encoded(TaskKey)),
    Column("actor", TEXT, nullable=False),
)
Index("asset_events_newest", asset_events.c.at, unique=True)

asset_gathered = Table(
    "asset_gathered",
    METADATA,
    Column("dag_id", TEXT, primary_key=True),
    Column("asset", TEXT, primary_key=True),
    Column("first", Instant, nullable=False),
    Column("last", Instant, nullable=False),
    Column("count", Integer, nullable=False),
    CheckConstraint("first <= last", name="in_order"),
    CheckConstraint("count > 0", name="not_empty"),
)

pools = Table(
    "pools",
    METADATA,
    Column("name", TEXT, primary_key=True),
    Column("slots", Integer, nullable=False),
    CheckConstraint("slots >= 0", name="slots_not_negative"),
)

backfills = Table(
    "backfills",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("dag_id", TEXT, nullable=False),
    Column("start", Instant, nullable=False),
    Column("end", Instant, nullable=False),
    Column("reprocess", Word(Reprocess), nullable=False),
    Column("backwards", Boolean, nullable=False),
    Column("max_active_runs", Integer, nullable=False),
    Column("conf", Encoded(dict[str, Any]), nullable=False),
    Column("actor", TEXT, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("pending", Encoded(tuple[Pending, ...]), nullable=False),
    Column("total", Integer, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("cancelled_by", TEXT),
    Column("ended_at", Instant),
    Column("as_run", Boolean, nullable=False, server_default="0"),
)
_GOING = text("ended_at IS NULL")
Index("backfills_open", backfills.c.id, sqlite_where=_GOING, postgresql_where=_GOING)

images = Table(
    "images",
    METADATA,
    Column("tag", TEXT, primary_key=True),
    Column("name", TEXT, nullable=False),
    Column("source_hash", TEXT, nullable=False),
    Column("image_id", TEXT, nullable=False),
    Column("built_at", Instant, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("log", TEXT, nullable=False),
)

requests = Table(
    "requests",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("kind", Word(RequestKind), nullable=False),
    Column("payload", Encoded(dict[str, Any]), nullable=False),
    Column("actor", TEXT, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("outcome", Encoded(Answer)),
    Column("answered_at", Instant),
    CheckConstraint("(outcome IS NULL) = (answered_at IS NULL)", name="answered_with_outcome"),
    sqlite_autoincrement=True,  # an id is never given twice, as with PostgreSQL's sequences
)
_UNANSWERED = text("answered_at IS NULL")
Index("requests_unanswered", requests.c.id, sqlite_where=_UNANSWERED, postgresql_where=_UNANSWERED)
