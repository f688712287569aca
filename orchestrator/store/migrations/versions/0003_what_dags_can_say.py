"""What expanding over results needs to know of them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    with op.batch_alter_table("task_instances") as table:
        table.add_column(sa.Column("sizes", sa.Text(), nullable=False, server_default="{}"))
        table.add_column(sa.Column("skips", sa.Text(), nullable=False, server_default="[]"))
