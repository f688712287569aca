"""Which deployment this database is, and who leads it: two tables of one row each."""

from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from orchestrator.errors import FencedError
from orchestrator.ids import DeploymentId, Epoch
from orchestrator.store.tables import deployment, leader


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
    """Begin the next epoch."""
    connection.execute(update(leader).values(epoch=leader.c.epoch + 1, owner=owner, taken_at=at))
    return epoch(connection)


def check(connection: Connection, mine: Epoch) -> None:
    """Hold the leader's row until the end of this transaction. Raises `FencedError` if it is not `mine`."""
    row = connection.execute(select(leader.c.epoch, leader.c.owner).with_for_update()).one()
    if row.epoch != mine:
        raise FencedError(
            f"epoch {mine} is over: {row.owner} leads in epoch {row.epoch}",
            fix="this scheduler must stop; the other one goes on with all its work",
        )
