"""What expanding, choosing and looking again need; pools, holds and pauses."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    _dags()
    _task_instances()
    _outcomes()


def _dags() -> None:
    with op.batch_alter_table("dags") as table:
        table.add_column(sa.Column("held", sa.Boolean(), nullable=False, server_default="0"))
        table.add_column(sa.Column("failed_in_row", sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("pause_reason", sa.Text()))


def _task_instances() -> None:
    with op.batch_alter_table("task_instances") as table:
        table.add_column(sa.Column("sizes", sa.Text(), nullable=False, server_default="{}"))
        table.add_column(sa.Column("skips", sa.Text(), nullable=False, server_default="[]"))
        table.add_column(sa.Column("pokes", sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("since", sa.BigInteger()))
        table.add_column(sa.Column("target", sa.Text()))
        table.add_column(sa.Column("label", sa.Text(), nullable=False, server_default=""))
    with op.batch_alter_table("runs") as table:
        table.add_column(sa.Column("cleared_at", sa.BigInteger()))


def _outcomes() -> None:
    with op.batch_alter_table("tries") as table:
        name = op.f("tries_outcome_known")
        table.drop_constraint(name, type_="check")
        table.create_check_constraint(name, "outcome IN ('failed', 'lost', 'not_ready', 'skipped', 'success')")
