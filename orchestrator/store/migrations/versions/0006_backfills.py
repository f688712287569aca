"""With which version and images a backfill has runs that are there run again."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    with op.batch_alter_table("backfills") as table:
        table.add_column(sa.Column("as_run", sa.Boolean(), nullable=False, server_default="0"))
