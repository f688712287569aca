"""What expanding, choosing and looking again need; pools, holds and pauses."""

import json

import sqlalchemy as sa
from alembic import op

from orchestrator.store.portable import TEXT

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    _params()
    _dags()
    _task_instances()
    _outcomes()
    _backfills()
    _assets()


def _params() -> None:
    """A param was its default value, and is now an object that may have a schema as well."""
    versions = sa.table(
        "dag_versions", sa.column("dag_id", TEXT), sa.column("version", TEXT), sa.column("spec", TEXT)
    )
    connection = op.get_bind()
    for dag_id, version, text in connection.execute(sa.select(versions)).all():
        spec = json.loads(text)
        for part in (spec, *spec.get("tasks", ())):
            if "params" in part:
                part["params"] = {name: {"default": value} for name, value in part["params"].items()}
        mine = (versions.c.dag_id == dag_id, versions.c.version == version)
        connection.execute(sa.update(versions).where(*mine).values(spec=json.dumps(spec, ensure_ascii=False)))


def _dags() -> None:
    with op.batch_alter_table("dags") as table:
        table.add_column(sa.Column("held", sa.Boolean(), nullable=False, server_default="0"))
        table.add_column(sa.Column("failed_in_row", sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("pause_reason", TEXT))
        table.add_column(sa.Column("filled", TEXT, nullable=False, server_default="[]"))


def _task_instances() -> None:
    with op.batch_alter_table("task_instances") as table:
        table.add_column(sa.Column("sizes", TEXT, nullable=False, server_default="{}"))
        table.add_column(sa.Column("skips", TEXT, nullable=False, server_default="[]"))
        table.add_column(sa.Column("pokes", sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("since", sa.BigInteger()))
        table.add_column(sa.Column("target", TEXT))
        table.add_column(sa.Column("awaits", TEXT))
        table.add_column(sa.Column("label", TEXT, nullable=False, server_default=""))
        table.add_column(sa.Column("deadline_missed_at", sa.BigInteger()))
    with op.batch_alter_table("runs") as table:
        table.add_column(sa.Column("cleared_at", sa.BigInteger()))
        table.add_column(sa.Column("backfill", sa.Integer()))
        table.add_column(sa.Column("free_of_past", sa.Boolean(), nullable=False, server_default="0"))
        table.add_column(sa.Column("triggered_by", TEXT))
        table.add_column(sa.Column("consumed", TEXT, nullable=False, server_default="{}"))
        table.add_column(sa.Column("deadline_missed_at", sa.BigInteger()))
    late = sa.text("deadline_missed_at IS NOT NULL")
    for name in ("runs", "task_instances"):
        op.create_index(f"{name}_late", name, ["deadline_missed_at"], sqlite_where=late, postgresql_where=late)


def _outcomes() -> None:
    with op.batch_alter_table("tries") as table:
        table.add_column(sa.Column("look", sa.Integer(), nullable=False, server_default="1"))
        table.add_column(sa.Column("cache_key", TEXT))
        table.add_column(sa.Column("cache_parts", TEXT, nullable=False, server_default="{}"))
        table.add_column(sa.Column("note", TEXT, nullable=False, server_default=""))
        name = op.f("tries_outcome_known")
        table.drop_constraint(name, type_="check")
        table.create_check_constraint(name, "outcome IN ('failed', 'lost', 'not_ready', 'skipped', 'success')")
    cached = sa.text("cache_key IS NOT NULL")
    columns = ["dag_id", "task_id", "ended_at"]
    op.create_index("tries_by_cache_key", "tries", columns, sqlite_where=cached, postgresql_where=cached)


def _backfills() -> None:
    for_backfill, going = sa.text("backfill IS NOT NULL"), sa.text("ended_at IS NULL")
    op.create_index(
        "runs_of_backfill", "runs", ["backfill"], sqlite_where=for_backfill, postgresql_where=for_backfill
    )
    op.create_table(
        "backfills",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("dag_id", TEXT, nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("end", sa.BigInteger(), nullable=False),
        sa.Column("reprocess", TEXT, nullable=False),
        sa.Column("backwards", sa.Boolean(), nullable=False),
        sa.Column("max_active_runs", sa.Integer(), nullable=False),
        sa.Column("conf", TEXT, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("pending", TEXT, nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("cancelled_by", TEXT),
        sa.Column("ended_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name=op.f("backfills_key")),
    )
    op.create_index("backfills_open", "backfills", ["id"], sqlite_where=going, postgresql_where=going)


def _assets() -> None:
    op.create_table(
        "asset_events",
        sa.Column("asset", TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("extra", sa.LargeBinary(), nullable=False),
        sa.Column("source", TEXT),
        sa.Column("actor", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("asset", "at", name=op.f("asset_events_key")),
    )
    op.create_index("asset_events_newest", "asset_events", ["at"], unique=True)
    op.create_table(
        "asset_gathered",
        sa.Column("dag_id", TEXT, nullable=False),
        sa.Column("asset", TEXT, nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.CheckConstraint("first <= last", name=op.f("asset_gathered_in_order")),
        sa.CheckConstraint("count > 0", name=op.f("asset_gathered_not_empty")),
        sa.PrimaryKeyConstraint("dag_id", "asset", name=op.f("asset_gathered_key")),
    )
