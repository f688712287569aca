"""The names templates may use, those of other systems that they may not, and the nearest of either."""

import difflib
from collections.abc import Iterable

#: Names of a template's context; `build_context` gives exactly these.
NAMES = frozenset(
    {
        "ds", "ds_nodash", "ts", "ts_nodash", "ts_nodash_with_tz",
        "logical_date", "execution_date", "data_interval_start", "data_interval_end",
        "next_execution_date", "prev_execution_date",
        "next_ds", "next_ds_nodash", "prev_ds", "prev_ds_nodash",
        "tomorrow_ds", "tomorrow_ds_nodash", "yesterday_ds", "yesterday_ds_nodash",
        "prev_data_interval_start_success", "prev_data_interval_end_success",
        "prev_start_date_success", "prev_execution_date_success",
        "run_id", "dag_run", "dag", "task", "ti", "task_instance", "task_instance_key_str",
        "params", "triggering_asset_events", "inlets", "outlets", "test_mode", "macros",
        "image", "output", "var", "conn", "result", "element",
    }
)  # fmt: skip

#: Names through which values enter that somebody else wrote: conf, params, notes, results,
#: what is kept outside DAG files.
DATA_NAMES = frozenset(
    {"var", "conn", "params", "dag_run", "ti", "task_instance", "result", "element", "triggering_asset_events"}
)

#: Names that templates of Airflow know and ours do not.
_ABSENT = {
    "conf": "it is dag_run.conf in a template",
    "configuration": "settings are the scheduler's; pass a value with environment=",
}


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or nothing where no known name is near."""
    found = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {found[0]!r}?" if found else ""


def unknown(name: str, further: Iterable[str] = ()) -> str:
    """What to say of a name that no template knows; `further` names are those of one DAG."""
    if name in _ABSENT:
        return f"{name!r} is undefined: {_ABSENT[name]}"
    return f"{name!r} is undefined{nearest(name, {*NAMES, *further})}"
