"""What the database says now, read past everything that is under test: by a connection of its own, in plain SQL."""

import json
import sqlite3
from pathlib import Path
from typing import NamedTuple

Instance = tuple[str, str, str]  #: DAG, run, task


class TryRow(NamedTuple):
    """What is looked at of a row of `tries`."""

    dag_id: str
    run_id: str
    task_id: str
    number: int
    try_id: str
    epoch: int
    container_id: str | None
    started_at: int | None
    exit: str | None
    outcome: str | None
    reason: str | None
    stop_requested_at: int | None
    log_complete: bool
    removed_at: int | None

    @property
    def instance(self) -> Instance:
        return self.dag_id, self.run_id, self.task_id

    @property
    def exit_code(self) -> int | None:
        return None if self.exit is None else int(json.loads(self.exit)["exit_code"])

    @property
    def why(self) -> str:
        return "" if self.reason is None else f"{json.loads(self.reason)['code']}"


class TaskRow(NamedTuple):
    """What is looked at of a row of `task_instances`."""

    dag_id: str
    run_id: str
    task_id: str
    state: str
    tries: int
    failures: int
    losses: int

    @property
    def instance(self) -> Instance:
        return self.dag_id, self.run_id, self.task_id


class Rows(NamedTuple):
    """One state of the database."""

    epoch: int
    tries: dict[str, TryRow]  #: by try id
    tasks: dict[Instance, TaskRow]
    runs: dict[tuple[str, str], str]  #: states


NOTHING = Rows(0, {}, {}, {})


class Reader:
    """Reads the database of a history; close it at the end."""

    def __init__(self, database: Path) -> None:
        self._connection = sqlite3.connect(database, isolation_level=None)
        self._connection.execute("PRAGMA query_only = ON")

    def read(self) -> Rows:
        ask = self._connection.execute
        ask("BEGIN")
        ((epoch,),) = ask("SELECT epoch FROM leader").fetchall()
        tries = [TryRow(*row) for row in ask(f"SELECT {', '.join(TryRow._fields)} FROM tries")]  # noqa: S608 - names of ours
        tasks = [TaskRow(*row) for row in ask(f"SELECT {', '.join(TaskRow._fields)} FROM task_instances")]  # noqa: S608 - see above
        runs = ask("SELECT dag_id, run_id, state FROM runs").fetchall()
        ask("COMMIT")
        return Rows(
            epoch,
            {row.try_id: row for row in tries},
            {row.instance: row for row in tasks},
            {(dag, run): state for dag, run, state in runs},
        )

    def result(self, instance: Instance) -> bytes | None:
        """What a task instance handed on."""
        asked = "SELECT data FROM results WHERE dag_id = ? AND run_id = ? AND task_id = ?"
        found = self._connection.execute(asked, instance).fetchone()
        return None if found is None else bytes(found[0])

    def requests(self) -> list[tuple[str, bool | None]]:
        """Kind of each request, and whether it was granted; None: it is not answered."""
        rows = self._connection.execute("SELECT kind, outcome FROM requests").fetchall()
        return [(kind, None if outcome is None else bool(json.loads(outcome)["ok"])) for kind, outcome in rows]

    def close(self) -> None:
        self._connection.close()
