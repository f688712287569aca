"""Python functions that containers run (spec authoring 5): what travels of one, and how it gets into its container.
Source and arguments are files that are copied in, so that neither their size nor what stands in them matters."""

from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from orchestrator.spec.container import InputFile
from orchestrator.spec.value import Value

#: Names of a template's context that a function's parameter may have: those that JSON can say.
FILLED_NAMES = (
    "ds", "ds_nodash", "ts", "ts_nodash", "ts_nodash_with_tz",
    "logical_date", "execution_date", "data_interval_start", "data_interval_end",
    "next_execution_date", "prev_execution_date",
    "next_ds", "next_ds_nodash", "prev_ds", "prev_ds_nodash",
    "tomorrow_ds", "tomorrow_ds_nodash", "yesterday_ds", "yesterday_ds_nodash",
    "prev_data_interval_start_success", "prev_data_interval_end_success",
    "prev_start_date_success", "prev_execution_date_success",
    "run_id", "dag_run", "dag", "task", "ti", "task_instance", "task_instance_key_str",
    "params", "triggering_asset_events", "inlets", "outlets", "test_mode",
)  # fmt: skip
#: A try of a Python task that ends with this is skipped.
SKIPPED = 99
#: A look of a Python sensor that ends with this (EX_TEMPFAIL) found nothing yet.
NOT_READY = 75


class Function(Value, frozen=True, kw_only=True):
    """A function by its source: the lines of its definition as they stand in the project's `file` from `line` on,
    without decorators. `filled` are the arguments that the context gives. A result that is false makes its process
    end with `not_ready_exit_code`, where there is one."""

    name: str
    source: str
    file: str
    line: int
    filled: tuple[str, ...] = ()
    not_ready_exit_code: int | None = None


class Call(Value, frozen=True, kw_only=True):
    """What a function is called with. Every string is a template; handles and names of the context give values."""

    args: list[Any] = []
    kwargs: dict[str, Any] = {}


def command(folder: str) -> tuple[str, ...]:
    """What calls the function whose files lie in `folder`; `-u`, so that no line of its log waits."""
    return ("python3", "-u", f"{folder}/run.py")


def files(function: Function, call: Call, *, folder: str, volume: str) -> tuple[InputFile, ...]:
    """The files that `command` needs, in a folder of their own. `volume` as of an `InputFile`."""
    told = {
        "name": function.name,
        "file": function.file,
        "args": call.args,
        "kwargs": call.kwargs,
        "filled": function.filled,
        "not_ready": function.not_ready_exit_code,
    }
    contents = {
        "run.py": _runner(),
        "function.py": placed(function).encode(),
        "call.json": msgspec.json.encode(told),
    }
    return tuple(InputFile(path=f"{folder}/{name}", data=data, volume=volume) for name, data in contents.items())


def placed(function: Function) -> str:
    """A module that defines the function in the lines where it stood; one that was indented stays it, so that
    texts over several lines in it do not change."""
    indented = function.source[:1] in (" ", "\t")
    before = function.line - 1
    return "\n" * (before - indented) + ("if True:\n" if indented else "") + function.source


@cache
def _runner() -> bytes:
    return Path(__file__).with_name("function_runner.py").read_bytes()
