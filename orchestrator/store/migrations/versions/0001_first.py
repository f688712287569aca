"""The first schema."""

import sqlalchemy as sa
from alembic import op

from orchestrator.store.portable import TEXT

revision = "0001"
down_revision = None


def upgrade() -> None:
    _leadership()
    _dags()
    _runs()
    _tasks()
    _results()
    _tries()
    _indexes_of_tries()
    _rest()


def _leadership() -> None:
    op.create_table(
        "deployment",
        sa.Column("one", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("deployment_id", TEXT, nullable=False),
        sa.CheckConstraint("one = 1", name=op.f("deployment_is_one_row")),
        sa.PrimaryKeyConstraint("one", name=op.f("deployment_key")),
    )
    op.create_table(
        "leader",
        sa.Column("one", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("taken_at", sa.BigInteger()),
        sa.CheckConstraint("one = 1", name=op.f("leader_is_one_row")),
        sa.PrimaryKeyConstraint("one", name=op.f("leader_key")),
    )


def _dags() -> None:
    op.create_table(
        "dag_files",
        sa.Column("file", TEXT, nullable=False),
        sa.Column("parsed", TEXT, nullable=False),
        sa.Column("parsed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("file", name=op.f("dag_files_key")),
    )
    op.create_table(
        "dag_versions",
        sa.Column("dag_id", TEXT, nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.Column("spec", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("dag_id", "version", name=op.f("dag_versions_key")),
    )
    op.create_table(
        "dags",
        sa.Column("dag_id", TEXT, nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.Column("file", TEXT, nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("last_start", sa.BigInteger()),
        sa.Column("last_end", sa.BigInteger()),
        sa.CheckConstraint("(last_start IS NULL) = (last_end IS NULL)", name=op.f("dags_last_is_whole")),
        sa.CheckConstraint("last_start <= last_end", name=op.f("dags_last_in_order")),
        sa.ForeignKeyConstraint(
            ["dag_id", "version"],
            ["dag_versions.dag_id", "dag_versions.version"],
            name=op.f("dags_of_dag_versions"),
        ),
        sa.PrimaryKeyConstraint("dag_id", name=op.f("dags_key")),
    )


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("dag_id", TEXT, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("run_type", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.Column("interval_start", sa.BigInteger(), nullable=False),
        sa.Column("interval_end", sa.BigInteger(), nullable=False),
        sa.Column("conf", TEXT, nullable=False),
        sa.Column("note", TEXT),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("images", TEXT),
        sa.Column("reason", TEXT),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger()),
        sa.Column("ended_at", sa.BigInteger()),
        sa.CheckConstraint(
            "(ended_at IS NOT NULL) = (state IN ('failed', 'success'))", name=op.f("runs_ended_when_final")
        ),
        sa.CheckConstraint("state <> 'running' OR started_at IS NOT NULL", name=op.f("runs_started_when_running")),
        sa.CheckConstraint("state IN ('failed', 'queued', 'running', 'success')", name=op.f("runs_state_known")),
        sa.CheckConstraint("interval_start <= interval_end", name=op.f("runs_interval_in_order")),
        sa.ForeignKeyConstraint(
            ["dag_id", "version"],
            ["dag_versions.dag_id", "dag_versions.version"],
            name=op.f("runs_of_dag_versions"),
        ),
        sa.PrimaryKeyConstraint("dag_id", "run_id", name=op.f("runs_key")),
    )
    op.create_index("runs_by_date_in_dag", "runs", ["dag_id", "interval_start"])
    op.create_index("runs_latest_in_dag_and_state", "runs", ["dag_id", "state", "interval_start", "run_id"])
    op.create_index("runs_newest", "runs", ["created_at", "dag_id", "run_id"])
    op.create_index("runs_newest_in_dag", "runs", ["dag_id", "created_at", "run_id"])
    op.create_index("runs_newest_in_dag_and_state", "runs", ["dag_id", "state", "created_at", "run_id"])
    op.create_index("runs_newest_in_state", "runs", ["state", "created_at", "dag_id", "run_id"])
    op.create_index(
        "runs_scheduled_once",
        "runs",
        ["dag_id", "interval_start"],
        unique=True,
        sqlite_where=sa.text("run_type = 'scheduled'"),
        postgresql_where=sa.text("run_type = 'scheduled'"),
    )


def _tasks() -> None:
    op.create_table(
        "task_instances",
        sa.Column("dag_id", TEXT, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("task_id", TEXT, nullable=False),
        sa.Column("map_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("losses", sa.Integer(), nullable=False),
        sa.Column("reason", TEXT),
        sa.Column("queued_at", sa.BigInteger()),
        sa.Column("started_at", sa.BigInteger()),
        sa.Column("ended_at", sa.BigInteger()),
        sa.Column("due_at", sa.BigInteger()),
        sa.CheckConstraint(
            "ended_at IS NOT NULL OR state NOT IN ('failed', 'removed', 'skipped', 'success', 'upstream_failed')",
            name=op.f("task_instances_ended_when_final"),
        ),
        sa.CheckConstraint(
            "ended_at IS NULL OR state IN ('failed', 'removed', 'skipped', 'success', "
            "'up_for_reschedule', 'up_for_retry', 'upstream_failed')",
            name=op.f("task_instances_not_ended_when_going"),
        ),
        sa.CheckConstraint(
            "state <> 'up_for_retry' OR due_at IS NOT NULL", name=op.f("task_instances_due_when_up_for_retry")
        ),
        sa.CheckConstraint(
            "state IN ('failed', 'queued', 'removed', 'running', 'skipped', 'starting', 'success', "
            "'up_for_reschedule', 'up_for_retry', 'upstream_failed', 'waiting')",
            name=op.f("task_instances_state_known"),
        ),
        sa.CheckConstraint(
            "state NOT IN ('failed', 'skipped', 'upstream_failed') OR reason IS NOT NULL",
            name=op.f("task_instances_reason_when_not_success"),
        ),
        sa.CheckConstraint(
            "state NOT IN ('starting', 'running') OR tries > 0", name=op.f("task_instances_tried_when_starting")
        ),
        sa.CheckConstraint(
            "tries >= 0 AND failures >= 0 AND losses >= 0", name=op.f("task_instances_counts_not_negative")
        ),
        sa.ForeignKeyConstraint(
            ["dag_id", "run_id"], ["runs.dag_id", "runs.run_id"], name=op.f("task_instances_of_runs")
        ),
        sa.PrimaryKeyConstraint("dag_id", "run_id", "task_id", "map_index", name=op.f("task_instances_key")),
    )


def _results() -> None:
    op.create_table(
        "results",
        sa.Column("dag_id", TEXT, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("task_id", TEXT, nullable=False),
        sa.Column("map_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dag_id", "run_id", "task_id", "map_index"],
            [
                "task_instances.dag_id",
                "task_instances.run_id",
                "task_instances.task_id",
                "task_instances.map_index",
            ],
            name=op.f("results_of_task_instances"),
        ),
        sa.PrimaryKeyConstraint("dag_id", "run_id", "task_id", "map_index", name=op.f("results_key")),
    )


def _tries() -> None:
    op.create_table(
        "tries",
        sa.Column("dag_id", TEXT, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("task_id", TEXT, nullable=False),
        sa.Column("map_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("try_id", TEXT, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("spec", TEXT, nullable=False),
        sa.Column("intended_at", sa.BigInteger(), nullable=False),
        sa.Column("container_id", TEXT),
        sa.Column("started_at", sa.BigInteger()),
        sa.Column("ended_at", sa.BigInteger()),
        sa.Column("exit", TEXT),
        sa.Column("outcome", TEXT),
        sa.Column("reason", TEXT),
        sa.Column("stop_requested_at", sa.BigInteger()),
        sa.Column("stop_reason", TEXT),
        sa.Column("adopted", sa.Integer(), nullable=False),
        sa.Column("log_complete", sa.Boolean(), nullable=False),
        sa.Column("removed_at", sa.BigInteger()),
        sa.CheckConstraint(
            "outcome = 'success' OR outcome IS NULL OR reason IS NOT NULL",
            name=op.f("tries_reason_when_not_success"),
        ),
        sa.CheckConstraint("outcome IN ('failed', 'lost', 'skipped', 'success')", name=op.f("tries_outcome_known")),
        sa.CheckConstraint("(ended_at IS NOT NULL) = (outcome IS NOT NULL)", name=op.f("tries_ended_with_outcome")),
        sa.CheckConstraint(
            "(stop_requested_at IS NULL) = (stop_reason IS NULL)", name=op.f("tries_stop_has_reason")
        ),
        sa.CheckConstraint("number > 0", name=op.f("tries_number_from_one")),
        sa.CheckConstraint("removed_at IS NULL OR outcome IS NOT NULL", name=op.f("tries_removed_after_outcome")),
        sa.ForeignKeyConstraint(
            ["dag_id", "run_id", "task_id", "map_index"],
            [
                "task_instances.dag_id",
                "task_instances.run_id",
                "task_instances.task_id",
                "task_instances.map_index",
            ],
            name=op.f("tries_of_task_instances"),
        ),
        sa.PrimaryKeyConstraint("dag_id", "run_id", "task_id", "map_index", "number", name=op.f("tries_key")),
    )


def _indexes_of_tries() -> None:
    op.create_index("tries_by_id", "tries", ["try_id"], unique=True)
    op.create_index(
        "tries_uncollected",
        "tries",
        ["try_id"],
        sqlite_where=sa.text("removed_at IS NULL"),
        postgresql_where=sa.text("removed_at IS NULL"),
    )


def _rest() -> None:
    op.create_table(
        "pools",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.CheckConstraint("slots >= 0", name=op.f("pools_slots_not_negative")),
        sa.PrimaryKeyConstraint("name", name=op.f("pools_key")),
    )
    op.create_table(
        "images",
        sa.Column("tag", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("source_hash", TEXT, nullable=False),
        sa.Column("image_id", TEXT, nullable=False),
        sa.Column("built_at", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("log", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("tag", name=op.f("images_key")),
    )
    op.create_table(
        "requests",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("payload", TEXT, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", TEXT),
        sa.Column("answered_at", sa.BigInteger()),
        sa.CheckConstraint(
            "(outcome IS NULL) = (answered_at IS NULL)", name=op.f("requests_answered_with_outcome")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("requests_key")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "requests_unanswered",
        "requests",
        ["id"],
        sqlite_where=sa.text("answered_at IS NULL"),
        postgresql_where=sa.text("answered_at IS NULL"),
    )
