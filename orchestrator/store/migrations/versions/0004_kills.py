"""When the grace of a try that is being stopped ends."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    with op.batch_alter_table("tries") as table:
        table.add_column(sa.Column("kill_at", sa.BigInteger()))
