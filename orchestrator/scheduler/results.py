"""What a try hands downstream: its result file, else what its task asks of its output, as JSON bytes. Of one that
failed: what it wrote last."""

import re
from collections.abc import Callable

import msgspec

from orchestrator.errors import FileTooLargeError, LogUnavailableError, NoSuchContainerError, NoSuchFileError
from orchestrator.ids import ContainerId, TryKey
from orchestrator.planning.rows import Reason
from orchestrator.ports import Checker, Engine, LogFlag, LogStore, Stream
from orchestrator.scheduler.attempts import OpenAttempt
from orchestrator.scheduler.masks import Mask, no_mask
from orchestrator.scheduler.pump import LogPump
from orchestrator.spec.dag import ResultFrom, TaskSpec
from orchestrator.states import ReasonCode

#: Seconds a log's end may lag behind its container's before the log is read back for a result.
_LOG_END_SECONDS = 5.0
_TELLS = (
    "its result holds the value of a secret that it was given, and results are stored in clear."
    " Leave it out: a task downstream can be given the secret by its id"
)
#: Bytes of a result that a message shows.
_SHOWN = 60
#: Seconds the end of a failed try's log may lag behind before its reason goes without its last line.
_LAST_LINE_SECONDS = 0.5
#: Bytes of a last line that are read at most, and characters of it that a reason shows.
_LAST_LINE_LIMIT, _LAST_LINE_SHOWN = 4096, 200
#: Colours and the like (ECMA-48 control sequences), and other characters that only move a terminal.
_CONTROLS = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x1f\x7f-\x9f]")


class Results:
    """Reads results of containers that have ended well."""

    def __init__(
        self,
        engine: Engine,
        checker: Checker,
        pump: LogPump,
        logs: LogStore,
        *,
        limit: int,
        mask: Callable[[TryKey], Mask] = no_mask,
    ) -> None:
        """`limit` is in bytes; `mask` knows the secrets of a try, which no result may tell."""
        self._engine = engine
        self._checker = checker
        self._pump = pump
        self._logs = logs
        self._limit = limit
        self._mask = mask

    def of(self, entry: OpenAttempt, container: ContainerId) -> bytes | Reason | None:
        """JSON bytes, None where it hands nothing on, or why what it handed on cannot be used.

        Raises `NoSuchContainerError` where the container is gone before its result file was read, and
        `EngineUnavailableError`, `LogUnavailableError`, `AuthoringServerError`: try again later."""
        try:
            found = self._written(entry, container)
            if isinstance(found, bytes) and self._mask(entry.attempt.key).patterns.told_in(found):
                return Reason(code=ReasonCode.RESULT_INVALID, text=_TELLS)
            return found if isinstance(found, Reason) else self._refusal(found, entry.task) or found
        except FileTooLargeError as large:
            text = f"its result has {large.size} B, the limit is {large.limit} B; large data belongs in mounts"
            return Reason(code=ReasonCode.RESULT_TOO_LARGE, text=text)
        except (msgspec.DecodeError, RecursionError) as error:
            text = f"what it wrote to $ORCHESTRATOR_RESULT is not JSON that can be read: {error}"
            return Reason(code=ReasonCode.RESULT_INVALID, text=text)

    def left(self, entry: OpenAttempt, container: ContainerId) -> bool:
        """Whether there is a result file. Raises `EngineUnavailableError`."""
        path = entry.attempt.spec.result_path
        try:
            return path is not None and bool(self._engine.file_size(container, path))
        except NoSuchContainerError:
            return False

    def _refusal(self, result: bytes | None, task: TaskSpec) -> Reason | None:
        """Why a result, or none, is not what its task promises."""
        if task.multiple_outputs and result is not None and not result.startswith(b"{"):
            shown = result[:_SHOWN].decode("utf-8", "replace")
            text = f"with multiple_outputs its result must be an object with a part for each output, not {shown}"
            return Reason(code=ReasonCode.RESULT_INVALID, text=text)
        if task.result_schema is None:
            return None
        misfit = self._checker.misfit(task.result_schema, b"null" if result is None else result)
        if misfit is None:
            return None
        what = "its result does not fit" if result is not None else "it handed on no result, and null does not fit"
        return Reason(code=ReasonCode.RESULT_INVALID, text=f"{what} result_schema: {misfit}")

    def _written(self, entry: OpenAttempt, container: ContainerId) -> bytes | Reason | None:
        """The result file, else the file that the task names, else what is asked of the output."""
        found: bytes | Reason | None = self._file(entry, container)
        if found is None and entry.attempt.spec.output_path is not None:
            return self._named(container, entry.attempt.spec.output_path)
        return self._output(entry, container) if found is None else found

    def last_line(self, key: TryKey) -> str:
        """The last line of a try's stderr, else of its stdout, for a reason; empty where there is none, or where
        its log does not end in a moment."""
        self._pump.wait_end(key, _LAST_LINE_SECONDS)
        for stream in (Stream.STDERR, Stream.STDOUT):
            try:
                line = self._logs.last_line(key, stream, _LAST_LINE_LIMIT)
            except (FileTooLargeError, LogUnavailableError):
                continue
            if line is not None and (shown := _CONTROLS.sub("", line.decode("utf-8", "replace")).strip()):
                return shown if len(shown) <= _LAST_LINE_SHOWN else f"{shown[:_LAST_LINE_SHOWN]}..."
        return ""

    def _named(self, container: ContainerId, path: str) -> bytes | Reason:
        """The file at `retrieve_output_path`: JSON where it is some, else text."""
        try:
            data = self._engine.read_file(container, path, self._limit)
        except NoSuchFileError:
            text = f"it left no file at {path}, which retrieve_output_path names"
            return Reason(code=ReasonCode.RESULT_INVALID, text=text)
        try:
            return msgspec.json.encode(msgspec.json.decode(data))
        except (msgspec.DecodeError, RecursionError):
            pass
        try:
            return msgspec.json.encode(data.decode())
        except UnicodeDecodeError:
            text = (
                f"{path}, which retrieve_output_path names, is neither JSON nor UTF-8 text (nothing is unpickled)"
            )
            return Reason(code=ReasonCode.RESULT_INVALID, text=text)

    def _file(self, entry: OpenAttempt, container: ContainerId) -> bytes | None:
        path = entry.attempt.spec.result_path
        if path is None:
            return None
        try:
            data = self._engine.read_file(container, path, self._limit)
        except NoSuchFileError:
            return None
        return msgspec.json.encode(msgspec.json.decode(data)) if data.strip() else None

    def _output(self, entry: OpenAttempt, container: ContainerId) -> bytes | None:
        source = entry.task.result_from
        if source is None:
            return None
        key = entry.attempt.key
        if not self._pump.wait_end(key, _LOG_END_SECONDS):
            self._pump.complete(key, self._engine, container, part=entry.attempt.look)
        if source is ResultFrom.LAST_LINE:
            line = self._logs.last_line(key, Stream.STDOUT, self._limit)
            return None if line is None else msgspec.json.encode(line.decode("utf-8", "replace"))
        return self._all_lines(key)

    def _all_lines(self, key: TryKey) -> bytes:
        chunks: list[bytes] = []
        size = 0
        for record in self._logs.records(key):
            if LogFlag.PART in record.flags:
                chunks, size = [], 0
            if record.stream is Stream.STDOUT and LogFlag.SYSTEM not in record.flags:
                size += len(record.data)
                chunks.append(record.data)
                if size > self._limit:
                    raise FileTooLargeError("stdout", size, self._limit)
        return msgspec.json.encode(b"".join(chunks).decode("utf-8", "replace").splitlines())
