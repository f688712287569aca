"""Until when the leader leads, by the database's clock, and who stands by."""

import sqlalchemy as sa
from alembic import op

from orchestrator.store.portable import TEXT

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    with op.batch_alter_table("leader") as table:
        table.add_column(sa.Column("expires_at", sa.BigInteger()))
    op.create_table(
        "standbys",
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", name=op.f("standbys_key")),
    )
