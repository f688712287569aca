"""When a DAG was first seen; a tick and the interval that begins with it may each have a scheduled run."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_SCHEDULED = sa.text("run_type = 'scheduled'")


def upgrade() -> None:
    op.add_column("dags", sa.Column("since", sa.BigInteger()))
    op.drop_index("runs_scheduled_once", table_name="runs")
    op.create_index(
        "runs_scheduled_once",
        "runs",
        ["dag_id", "interval_start", "interval_end"],
        unique=True,
        sqlite_where=_SCHEDULED,
        postgresql_where=_SCHEDULED,
    )
