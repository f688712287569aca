"""What runs in the container of a Python task: it calls a function, whose source and arguments lie beside this
file, and writes what that returns where the orchestrator looks for results.

It is run by the image's own Python, which may be as old as 3.8 and has its standard library only.
"""

from __future__ import annotations
import __future__

import json
import linecache
import os
import sys
import traceback
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

#: Names of the context that are dates, and those with attributes, of which some are dates too.
DATES = ("logical_date", "execution_date", "data_interval_start", "data_interval_end", "next_execution_date",
         "prev_execution_date", "prev_data_interval_start_success", "prev_data_interval_end_success",
         "prev_start_date_success", "prev_execution_date_success")  # fmt: skip
OBJECTS = ("dag", "dag_run", "task", "ti", "task_instance")
DATES_OF_OBJECTS = ("logical_date", "execution_date", "data_interval_start", "data_interval_end", "start_date",
                    "end_date")  # fmt: skip


def main() -> None:
    """Exits 0 with the result written; 1 where the function raised, or returned what JSON cannot say."""
    folder = Path(__file__).parent
    call = json.loads((folder / "call.json").read_text(encoding="utf-8"))
    if not getattr(sys.flags, "safe_path", False):  # with it, no folder was put before those of PYTHONPATH
        sys.path[0] = ""  # what it imports is found where it works, not here
    function = defined(call, (folder / "function.py").read_text(encoding="utf-8"))
    filled = {name: value_of(name, call["kwargs"][name]) for name in call["filled"]}
    try:
        result = function(*call["args"], **{**call["kwargs"], **filled})
    except Exception as error:  # noqa: BLE001 - a function may raise anything; its frames are shown, ours are not
        frames = error.__traceback__.tb_next if error.__traceback__ else None
        traceback.print_exception(type(error), error, frames)
        sys.exit(1)
    try:
        text = json.dumps(result, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        sys.exit(f"orchestrator: {call['name']}() returned what JSON cannot say: {error}")
    if not result and call["not_ready"] is not None:
        sys.exit(call["not_ready"])
    Path(os.environ["ORCHESTRATOR_RESULT"]).write_text(text, encoding="utf-8")


def defined(call: dict[str, Any], source: str) -> Any:
    """The function, defined in a module of its own; lines have the numbers and the file they had in the project."""
    file = call["file"]
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    code = compile(source, file, "exec", __future__.annotations.compiler_flag, dont_inherit=True)
    module: dict[str, Any] = {"__name__": "__main__", "__file__": file}
    exec(code, module)  # noqa: S102 - what this file is for
    return module[call["name"]]


def value_of(name: str, value: Any) -> Any:
    """A value of the context as Python code expects it."""
    if name in DATES:
        return dated(value)
    if name in OBJECTS:
        parts = {part: dated(each) if part in DATES_OF_OBJECTS else each for part, each in value.items()}
        return SimpleNamespace(**parts)
    return value


def dated(value: str | None) -> datetime | None:
    """The instant, which may be missing."""
    return None if value is None else datetime.fromisoformat(value)


if __name__ == "__main__":
    main()
