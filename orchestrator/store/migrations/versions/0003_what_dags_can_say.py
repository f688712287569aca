"""What expanding over results needs to know of them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    with op.batch_alter_table("dags") as table:
        table.add_column(sa.Column("held", sa.Boolean(), nullable=False, server_default="0"))
        table.add_column(sa.Column("failed_in_row", sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("pause_reason", sa.Text()))
    with op.batch_alter_table("task_instances") as table:
        table.add_column(sa.Column("sizes", sa.Text(), nullable=False, server_default="{}"))
        table.add_column(sa.Column("skips", sa.Text(), nullable=False, server_default="[]"))
