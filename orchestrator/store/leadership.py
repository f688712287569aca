"""Which deployment this database is, who leads it, and who stands by.

What a lead lasts is counted by the database's clock alone, so that no scheduler's clock can give a lead away. The
leader's one row is locked in three ways (PostgreSQL's; SQLite has one writer at a time anyway): a turn shares its
key (`check`), a renewal changes what is no key and so never waits for a turn, and whoever takes the lead wants the
row for itself, after every turn that is under way.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    delete,
    insert,
    literal_column,
    select,
    type_coerce,
    update,
)

from orchestrator.errors import FencedError
from orchestrator.ids import DeploymentId, Epoch
from orchestrator.ports import Leading, Led, Standby
from orchestrator.store.tables import deployment, leader, standbys

#: Now, by the database's clock (and not at the beginning of the transaction), in microseconds since 1970.
_NOW = {
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)",
    "postgresql": "CAST(extract(epoch from clock_timestamp()) * 1000000 AS BIGINT)",
}
_MICROSECOND = timedelta(microseconds=1)
#: Of a standby that says nothing for longer, nobody believes that it is there.
_SEEN_FOR = timedelta(seconds=30)
_WHO = select(leader.c.epoch, leader.c.owner)


def found(connection: Connection, deployment_id: DeploymentId) -> None:
    """Make an empty database a deployment that nobody has led yet."""
    connection.execute(insert(deployment).values(one=1, deployment_id=deployment_id))
    connection.execute(insert(leader).values(one=1, epoch=0, owner=""))


def deployment_id(connection: Connection) -> DeploymentId | None:
    """The deployment's id, None while there is none."""
    text = connection.execute(select(deployment.c.deployment_id)).scalar_one_or_none()
    return None if text is None else DeploymentId(text)


def epoch(connection: Connection) -> Epoch:
    """The epoch in force."""
    return Epoch(connection.execute(select(leader.c.epoch)).scalar_one())


def take(connection: Connection, owner: str, at: datetime) -> Epoch:
    """Begin the next epoch, whoever leads, for good: where something else than time keeps others away."""
    connection.execute(select(leader.c.epoch).with_for_update())
    return _begin(connection, owner, at, None)


def bid(connection: Connection, owner: str, at: datetime, lasts: timedelta) -> Epoch | Led:
    """Begin the next epoch if the lead is free."""
    row = connection.execute(select(leader.c.epoch, leader.c.owner, _left(connection)).with_for_update()).one()
    if row.left is not None and row.left > 0:
        return Led(owner=row.owner, epoch=Epoch(row.epoch), left=row.left * _MICROSECOND)
    connection.execute(delete(standbys).where(standbys.c.owner == owner))
    return _begin(connection, owner, at, _now(connection) + _micro(lasts))


def led(connection: Connection) -> Led | None:
    """Who leads now, as far as time tells; None where the lead is free. Waits for nobody."""
    row = connection.execute(select(leader.c.epoch, leader.c.owner, _left(connection))).one()
    if row.left is None or row.left <= 0:
        return None
    return Led(owner=row.owner, epoch=Epoch(row.epoch), left=row.left * _MICROSECOND)


def renew(connection: Connection, mine: Epoch, lasts: timedelta) -> None:
    """Lead for longer; also where the time was up, if nobody took the lead meanwhile. Raises `FencedError`."""
    until = _now(connection) + _micro(lasts)
    done = connection.execute(update(leader).where(leader.c.epoch == mine).values(expires_at=until))
    if done.rowcount == 0:
        row = connection.execute(_WHO).one()
        raise _fenced(mine, Epoch(row.epoch), row.owner)


def give_up(connection: Connection, mine: Epoch) -> None:
    """Have the lead be free at once; nothing where somebody else has it."""
    ended = type_coerce(0, BigInteger)
    connection.execute(update(leader).where(leader.c.epoch == mine).values(expires_at=ended))


def check(connection: Connection, mine: Epoch) -> None:
    """Keep the lead from being taken until this transaction ends. Raises `FencedError` if it is not `mine`."""
    row = connection.execute(_WHO.with_for_update(read=True, key_share=True)).one()
    if row.epoch != mine:
        raise _fenced(mine, Epoch(row.epoch), row.owner)


def mark(connection: Connection) -> None:
    """Write what is written already: to see whether that can be done."""
    connection.execute(update(deployment).values(one=1))


def stand_by(connection: Connection, owner: str, since: datetime) -> None:
    """Say that a standby is there still, and forget those that have not said so for long."""
    now = _now(connection)
    gone = (standbys.c.owner == owner) | (type_coerce(standbys.c.seen_at, BigInteger) < now - _micro(_SEEN_FOR))
    connection.execute(delete(standbys).where(gone))
    connection.execute(insert(standbys).values(owner=owner, since=since, seen_at=now))


def stand_down(connection: Connection, owner: str) -> None:
    """A standby goes."""
    connection.execute(delete(standbys).where(standbys.c.owner == owner))


def leading(connection: Connection) -> Leading:
    """What there is to say of the lead."""
    row = connection.execute(select(leader, _left(connection))).one()
    seen = type_coerce(standbys.c.seen_at, BigInteger) >= _now(connection) - _micro(_SEEN_FOR)
    waiting = connection.execute(select(standbys).where(seen).order_by(standbys.c.since, standbys.c.owner))
    return Leading(
        epoch=Epoch(row.epoch),
        owner=row.owner,
        taken_at=row.taken_at,
        left=None if row.left is None else row.left * _MICROSECOND,
        standbys=tuple(Standby(owner=each.owner, since=each.since, seen_at=each.seen_at) for each in waiting),
    )


def _begin(connection: Connection, owner: str, at: datetime, until: ColumnElement[int] | None) -> Epoch:
    values = {"epoch": leader.c.epoch + 1, "owner": owner, "taken_at": at, "expires_at": until}
    connection.execute(update(leader).values(values))
    return epoch(connection)


def _now(connection: Connection) -> ColumnElement[int]:
    return literal_column(_NOW[connection.dialect.name], BigInteger)


def _left(connection: Connection) -> ColumnElement[Any]:
    """Microseconds until the lead is free."""
    return (type_coerce(leader.c.expires_at, BigInteger) - _now(connection)).label("left")


def _micro(duration: timedelta) -> int:
    return duration // _MICROSECOND


def _fenced(mine: Epoch, now: Epoch, owner: str) -> FencedError:
    return FencedError(
        f"epoch {mine} is over: {owner} leads in epoch {now}",
        fix="this scheduler must stop; the other one goes on with all its work",
    )
