"""Run by Alembic: migrates over the connection and transaction of `orchestrator.store.migrate`."""

from typing import Any, Literal

from alembic import context
from sqlalchemy.types import TypeDecorator

from orchestrator.store.tables import METADATA


def plain_types(kind: str, item: Any, _: object) -> str | Literal[False]:
    """A revision names the database's types, not ours: those may change after it."""
    if kind == "type" and isinstance(item, TypeDecorator):
        return f"sa.{type(item.impl_instance).__name__}()"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
    render_item=plain_types,
)
context.run_migrations()
