"""Every error that the orchestrator raises on purpose. One root; ids are attributes, and the message is
built from them and says what to do. Expected outcomes of a try are values (`orchestrator.states.Reason`),
not errors.
"""

import difflib
from collections.abc import Sequence


class OrchestratorError(Exception):
    """Root of all errors of this package. `fix` is one sentence that says what to do, or empty."""

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message}\n  fix: {self.fix}" if self.fix else self.message

    @property
    def sentence(self) -> str:
        """Message and fix in one line, for reasons."""
        return f"{self.message}. {self.fix}" if self.fix else self.message


class SettingsError(OrchestratorError):
    """A setting is unknown, malformed, or contradicts another."""


class NoProjectError(OrchestratorError):
    """There is no `dags/` folder here or above."""


class AuthoringError(OrchestratorError):
    """A DAG file says something that cannot be. `rule` names the check (spec authoring 2), `dag_id` and `task_id`
    of what it was said, where that is known."""

    def __init__(
        self,
        message: str,
        *,
        rule: str,
        line: int | None = None,
        fix: str = "",
        dag_id: str | None = None,
        task_id: str | None = None,
    ) -> None:
        super().__init__(message, fix=fix)
        self.rule = rule
        self.line = line
        self.dag_id = dag_id
        self.task_id = task_id


class FinalizeError(OrchestratorError):
    """A container argument, as written or as rendered, has a value that no container can have.
    `field` says which one, as in `mem_limit` or `mounts['/data'].source`."""

    def __init__(self, field: str, message: str, *, fix: str = "") -> None:
        super().__init__(f"{field}: {message}", fix=fix)
        self.field = field


class PolicyError(FinalizeError):
    """The site's policy does not allow what a task asks of the engine; `line` is the line that would."""

    def __init__(self, field: str, message: str, line: str) -> None:
        super().__init__(
            field,
            message,
            fix=f"do without it; or, before the scheduler starts the next time, write into policy.toml: {line}",
        )
        self.line = line


class RenderError(OrchestratorError):
    """A template cannot be rendered. `field` is the path of the argument it stands in, once that is known."""

    def __init__(self, message: str, *, field: str = "", fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.field = field


class AuthoringServerError(OrchestratorError):
    """The process that parses DAG files and renders templates cannot be started, or ended under a request."""


class TimetableError(OrchestratorError):
    """A schedule or a date given by hand means nothing: a malformed cron expression, an unknown timezone."""


class IllegalMoveError(OrchestratorError):
    """The planner tried a change of state that no table of moves allows: a defect of ours."""


class NotFoundError(OrchestratorError):
    """No such DAG, run, task, try or image. `kind` and `name` say which."""

    def __init__(self, kind: str, name: str, *, nearest: str | None = None, fix: str = "") -> None:
        hint = f"; did you mean {nearest!r}?" if nearest else ""
        super().__init__(f"no {kind} {name!r}{hint}", fix=fix)
        self.kind = kind
        self.name = name


def unknown_dag(dag_id: str, known: list[str], broken: Sequence[str] = ()) -> NotFoundError:
    """The error for a DAG id that nobody knows; `broken` are the files that cannot be read now."""
    nearest = difflib.get_close_matches(dag_id, known, n=1)
    fix = "`orchestrator dags list` shows all; a new file is known once a scheduler has parsed it"
    if broken:
        names = ", ".join(dict.fromkeys(broken))
        fix = f"it may be in a file that is broken now ({names}): `orchestrator dags check`. Else {fix}"
    return NotFoundError("DAG", dag_id, nearest=nearest[0] if nearest else None, fix=fix)


class RequestRefusedError(OrchestratorError):
    """The leader refused a request (trigger, pause, ...); nothing was changed."""


# --- engine -------------------------------------------------------------------------------------------


class EngineError(OrchestratorError):
    """Root of what an engine may answer."""


class EngineUnavailableError(EngineError):
    """The engine cannot be reached, or did not answer in time. Infrastructure: wait, then ask again."""


class EngineDeniedError(EngineUnavailableError):
    """The engine at `url` is there, and does not let this user in."""

    def __init__(self, url: str) -> None:
        super().__init__(
            f"you may not use the Docker engine at {url}: permission denied",
            fix="add your user to the group that owns the socket: sudo usermod -aG docker $USER, then log in again",
        )
        self.url = url


class EngineTimeoutError(EngineUnavailableError):
    """A call was sent and not answered: it may or may not have taken effect. Inspect before anything else."""


class NoSuchContainerError(EngineError):
    """The engine knows no container of this id or name."""


class NameTakenError(EngineError):
    """Create met another container of the same name. `holder` is that container's id, if known."""

    def __init__(self, name: str, holder: str | None) -> None:
        super().__init__(f"the container name {name} is taken by {holder or 'another container'}")
        self.name = name
        self.holder = holder


class ContainerRunningError(EngineError):
    """A remove without force met a running container (409)."""


class NoSuchFileError(EngineError):
    """The container has no file at this path."""


class FileTooLargeError(EngineError):
    """A file in a container is larger than the caller allows. `size` and `limit` are bytes."""

    def __init__(self, path: str, size: int, limit: int) -> None:
        super().__init__(f"{path} holds {size} B, more than the {limit} B allowed")
        self.path, self.size, self.limit = path, size, limit


class LaunchRefusedError(EngineError):
    """The engine refuses this container for good; `code` is a `ReasonCode` value, the text is the engine's."""

    def __init__(self, code: str, message: str, *, fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.code = code


class LogStreamDamagedError(EngineError):
    """A container's log stream holds a frame that is neither stdout nor stderr."""


# --- the machine --------------------------------------------------------------------------------------


class RepairError(OrchestratorError):
    """A repair of this machine (`doctor --fix`) did not succeed; the message has the tool's last words."""


# --- images -------------------------------------------------------------------------------------------


class ImageError(OrchestratorError):
    """An image cannot be had. `code` is a `ReasonCode` value; `wait` says that trying later may help."""

    def __init__(self, code: str, message: str, *, wait: bool = False, fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.code = code
        self.wait = wait


# --- secrets ------------------------------------------------------------------------------------------


class SecretError(OrchestratorError):
    """Root of why a secret, a variable or a connection cannot be had. `kind` and `stored_id` say which; no message
    holds a value. `code` is a `ReasonCode` value."""

    code = "secret_invalid"

    def __init__(self, kind: str, stored_id: str, problem: str, *, fix: str = "") -> None:
        super().__init__(f"the {kind} {stored_id!r} {problem}", fix=fix)
        self.kind = kind
        self.stored_id = stored_id


class SecretMissingError(SecretError):
    """No place has it; `places` are those that were asked."""

    code = "secret_missing"

    def __init__(self, kind: str, stored_id: str, places: tuple[str, ...]) -> None:
        asked = ", ".join(places)
        super().__init__(
            kind, stored_id, f"is nowhere; asked: {asked}", fix="put it into one of them, or correct its id"
        )
        self.places = places


class SecretInvalidError(SecretError):
    """It is there and cannot be read, or has no such part."""

    def __init__(self, kind: str, stored_id: str, why: str, *, fix: str = "") -> None:
        super().__init__(kind, stored_id, f"cannot be used: {why}", fix=fix)


class SecretUnavailableError(SecretError):
    """A place where it may be cannot be asked now: wait, then ask again."""

    code = "secret_unavailable"


# --- store --------------------------------------------------------------------------------------------


class StoreError(OrchestratorError):
    """Root of what the database may answer."""


class StoreUnavailableError(StoreError):
    """The database cannot be reached or written now; whether the last commit took effect is unknown."""


class SchemaError(StoreError):
    """The database's schema is older or newer than this program; the fix names the command."""


class FencedError(StoreError):
    """Another scheduler leads now: this one's epoch is over and it must write nothing."""


class StoreConflictError(StoreError):
    """The database refuses a row, mostly because a guarded move met another state: the world in memory is not
    the database's. `key` is the row's own (RunKey, TaskKey, TryKey, or an id), None where it is not known."""

    def __init__(self, message: str, *, key: object = None, fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.key = key


class SchedulerRunningError(StoreError):
    """Another scheduler process holds this home."""


# --- logs of tasks ------------------------------------------------------------------------------------


class ArtifactsUnavailableError(OrchestratorError):
    """Files of tries cannot be read or kept now (disk full, permission). Infrastructure: wait, then try again."""


class LogUnavailableError(OrchestratorError):
    """Log files cannot be read or written now (disk full, permission). Infrastructure: wait, then try again."""
