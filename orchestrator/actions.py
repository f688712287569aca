"""What may be asked of the leader: the one place where all faces meet.

An action writes a request, wakes the leader and waits a while for its answer; nobody but the leader writes run
state (invariant I3).
"""

import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from orchestrator.clock import Clock
from orchestrator.errors import RequestRefusedError, unknown_dag
from orchestrator.ids import TaskKey
from orchestrator.planning.approvals import APPROVE, REJECT
from orchestrator.planning.backfills import Asked
from orchestrator.planning.rows import Answer, Request, RequestKind
from orchestrator.planning.selection import Selection
from orchestrator.ports import Store
from orchestrator.scheduler.local_socket import Following, wake
from orchestrator.spec.conf import conf_problem
from orchestrator.spec.value import Value
from orchestrator.states import TaskState

#: Seconds to wait for the leader's answer before saying that the request is queued.
ANSWER_SECONDS = 5.0
#: Seconds between two looks for the answer of a leader that nobody here can listen to.
_LOOK_SECONDS = 0.05


class Outcome(Value, frozen=True, kw_only=True):
    """What came of an action. `answer` None: written, and no scheduler has answered yet."""

    request_id: int
    answer: Answer | None


class Decision(Value, frozen=True, kw_only=True):
    """What a person decides; `params` are those that the task asks for."""

    approved: bool
    note: str | None = None
    params: dict[str, Any] = {}


class Actions:
    """Actions of one actor (a user's name) on one deployment. Raises `RequestRefusedError` with the leader's
    words, `NotFoundError` where a DAG is not known, `StoreError`."""

    def __init__(self, store: Store, socket: Path, clock: Clock, actor: str) -> None:
        self._store = store
        self._socket = socket
        self._clock = clock
        self._actor = actor

    def trigger(
        self,
        dag_id: str,
        *,
        logical_date: str | None = None,
        conf: dict[str, Any] | None = None,
        note: str | None = None,
    ) -> Outcome:
        """Ask for a manual run. `logical_date` is ISO 8601 text; without a zone it is in the DAG's. `conf` that
        does not fit the DAG's params is refused here already, by the newest version of the DAG that is known."""
        self._known(dag_id)
        self._fitting(dag_id, conf or {})
        if logical_date is not None:
            check_date(logical_date)
        payload: dict[str, Any] = {"dag_id": dag_id, "conf": conf or {}, "note": note}
        if logical_date is not None:
            payload["logical_date"] = logical_date
        return self._ask(RequestKind.TRIGGER, payload)

    def pause(self, dag_id: str, *, hold: bool = False) -> Outcome:
        """No new scheduled runs; started ones finish, or with `hold`, start nothing new either."""
        self._known(dag_id)
        return self._ask(RequestKind.PAUSE, {"dag_id": dag_id, "hold": hold})

    def unpause(self, dag_id: str) -> Outcome:
        """Scheduled runs again, by the rules of catchup."""
        self._known(dag_id)
        return self._ask(RequestKind.UNPAUSE, {"dag_id": dag_id})

    def cancel(self, dag_id: str, run_id: str, *, teardowns: bool = True) -> Outcome:
        """Stop a run: its containers are killed, what was set up is taken down, it ends as failed."""
        payload = {"dag_id": dag_id, "run_id": run_id, "teardowns": teardowns}
        return self._ask(RequestKind.CANCEL, payload)

    def clear(self, selection: Selection, *, as_run: bool | None = None) -> Outcome:
        """Have task instances run again, with the newest version and images of their DAG or, `as_run`, with those
        that their run had; None: as the setting `scheduling.rerun_with` says."""
        return self._again(RequestKind.CLEAR, selection, {"as_run": as_run})

    def mark(self, selection: Selection, state: TaskState) -> Outcome:
        """Have task instances be success, failed or skipped."""
        return self._again(RequestKind.MARK, selection, {"state": state})

    def kill(self, selection: Selection) -> Outcome:
        """Have task instances of open runs fail, whatever they are doing."""
        return self._again(RequestKind.KILL, selection, {})

    def approve(self, key: TaskKey, decision: Decision) -> Outcome:
        """Decide for a task that waits for a person."""
        self._known(key.dag_id)
        word = APPROVE if decision.approved else REJECT
        told = {"decision": word, "note": decision.note, "params": decision.params}
        return self._ask(RequestKind.APPROVE, {**msgspec.structs.asdict(key), **told})

    def _again(self, kind: RequestKind, selection: Selection, more: dict[str, Any]) -> Outcome:
        self._known(selection.dag_id)
        return self._ask(kind, {"selection": msgspec.to_builtins(selection), **more})

    def backfill(self, asked: Asked) -> Outcome:
        """Begin a backfill."""
        self._known(asked.dag_id)
        return self._ask(RequestKind.BACKFILL, msgspec.to_builtins(asked))

    def change_backfill(self, number: int, to: str) -> Outcome:
        """Have an open backfill be paused, running or cancelled."""
        return self._ask(RequestKind.CHANGE_BACKFILL, {"id": number, "to": to})

    def set_pool(self, name: str, slots: int) -> Outcome:
        """Make a pool, or give it another number of slots: what runs is left alone."""
        return self._ask(RequestKind.SET_POOL, {"name": name, "slots": slots})

    def emit(self, asset: str, extra: Any = None) -> Outcome:
        """Tell that an asset was updated by something outside; `extra` is any JSON."""
        return self._ask(RequestKind.EMIT, {"asset": asset, "extra": extra})

    def drop_pool(self, name: str) -> Outcome:
        """Remove a pool that no task names any more."""
        return self._ask(RequestKind.DROP_POOL, {"name": name})

    def _fitting(self, dag_id: str, conf: dict[str, Any]) -> None:
        dag = self._store.dag(dag_id)
        spec = dag and self._store.version(dag_id, dag.version)
        if spec and (problem := conf_problem(spec, conf)):
            raise RequestRefusedError(
                f"conf does not fit the params of {dag_id}: {problem}",
                fix=f"`orchestrator dags show {dag_id}` tells its params",
            )

    def _known(self, dag_id: str) -> None:
        if self._store.dag(dag_id) is None:
            broken = [each.parsed.file for each in self._store.files() if each.parsed.errors]
            raise unknown_dag(dag_id, [dag.dag_id for dag in self._store.dags()], broken)

    def _ask(self, kind: RequestKind, payload: dict[str, Any]) -> Outcome:
        with Following.if_any(self._socket) as following:
            request = self._store.ask(kind, payload, self._actor, self._clock.now())
            if following is not None:
                wake(self._socket)
                following.answer_to(request.id, ANSWER_SECONDS)
        answer = self._store.answer(request.id) if following else self._answer_from_afar(request)
        if answer is not None and not answer.ok:
            raise RequestRefusedError(answer.error)
        return Outcome(request_id=request.id, answer=answer)

    def _answer_from_afar(self, request: Request) -> Answer | None:
        """Where the leader, if there is one, is in another container or machine, only the database tells of its
        answer. It hears of the request by the database, too."""
        until, never = self._clock.monotonic() + ANSWER_SECONDS, threading.Event()
        answer = self._store.answer(request.id)
        if answer is None and self._store.led() is None:
            return None
        while answer is None and self._clock.monotonic() < until:
            self._clock.wait(never, _LOOK_SECONDS)
            answer = self._store.answer(request.id)
        return answer


def check_date(text: str) -> datetime:
    """`text` as an ISO 8601 instant or date; RequestRefusedError where it is none."""
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise RequestRefusedError(
            f"{text!r} is no date", fix="write it as 2013-01-01 or 2013-01-01T05:00:00+00:00"
        ) from error
