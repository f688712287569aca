"""Requests: asked by any process, answered by the leader."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, insert, select

from orchestrator.errors import NotFoundError
from orchestrator.planning.changes import Answered
from orchestrator.planning.rows import Answer, Request, RequestKind
from orchestrator.store.statements import guarded_update, move
from orchestrator.store.tables import requests

_GUARD = ("answered_at",)
_ANSWER = guarded_update(requests, _GUARD)
_ASKED = tuple(requests.c[field] for field in Request.__struct_fields__)


def ask(
    connection: Connection, kind: RequestKind, payload: dict[str, Any], actor: str, created_at: datetime
) -> Request:
    """Insert a request and give it its id."""
    columns = {"kind": kind, "payload": payload, "actor": actor, "created_at": created_at}
    number = connection.execute(insert(requests).values(columns).returning(requests.c.id)).scalar_one()
    return Request(id=number, kind=kind, payload=payload, actor=actor, created_at=created_at)


def put_answers(connection: Connection, rows: Sequence[Answered]) -> None:
    """Write outcomes; a request is answered once."""
    moves = [
        ({"answered_at": None}, {"id": row.request.id, "outcome": row.answer, "answered_at": row.at})
        for row in rows
    ]
    move(connection, _ANSWER, _GUARD, moves)


def unanswered(connection: Connection) -> tuple[Request, ...]:
    """Requests without an outcome, in the order they were asked."""
    return tuple(Request(**row) for row in connection.execute(unanswered_statement()).mappings())


def unanswered_statement() -> Select[Any]:
    return select(*_ASKED).where(requests.c.answered_at.is_(None)).order_by(requests.c.id)


def answer(connection: Connection, request_id: int) -> Answer | None:
    """The outcome of a request, None while there is none. Raises `NotFoundError` for an unknown id."""
    row = connection.execute(select(requests.c.outcome).where(requests.c.id == request_id)).one_or_none()
    if row is None:
        raise NotFoundError("request", str(request_id))
    outcome: Answer | None = row.outcome
    return outcome
