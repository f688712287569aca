"""Records of built task images. Written by whoever built one."""

import msgspec
from sqlalchemy import Connection, select

from orchestrator.ports import ImageRecord
from orchestrator.store.statements import upsert
from orchestrator.store.tables import images


def put(connection: Connection, image: ImageRecord) -> None:
    """Insert or replace the record of a tag."""
    upsert(connection, images, [msgspec.structs.asdict(image)])


def newest(connection: Connection) -> tuple[ImageRecord, ...]:
    """Every record, newest first."""
    rows = connection.execute(select(images).order_by(images.c.built_at.desc(), images.c.tag))
    return tuple(ImageRecord(**row) for row in rows.mappings())
