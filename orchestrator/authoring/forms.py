"""The forms in which users may write a value, each turned into the one that its field's type accepts. All raise
ValueError with a sentence where the value has none of them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec

from orchestrator.authoring.faults import nearest
from orchestrator.authoring.mounts import read_mount
from orchestrator.spec.dag import PullPolicy, ResultFrom
from orchestrator.spec.marks import has_templates
from orchestrator.states import TRIGGER_RULE_ALIASES, TriggerRule

_LARGEST_EXIT_CODE = 255


def plain(delta: timedelta) -> timedelta:
    """The same time without what a subclass, such as pendulum's, makes of arithmetic."""
    return timedelta.__add__(timedelta(0), delta)


def duration(written: Any) -> Any:
    """A timedelta or a number of seconds."""
    if isinstance(written, timedelta):
        return plain(written)
    if isinstance(written, int | float) and not isinstance(written, bool):
        return timedelta(seconds=written)
    if written is None:
        return None
    raise _misfit("a timedelta or a number of seconds", written)


def exit_codes(written: Any) -> Any:
    """One code, several, or None for none."""
    codes = [written] if isinstance(written, int) else list(written or ())
    for code in codes:
        if not isinstance(code, int) or isinstance(code, bool) or not 0 <= code <= _LARGEST_EXIT_CODE:
            raise ValueError(f"{code!r} is no exit code from 0 to 255")
    return sorted(codes)


def texts(written: Any) -> Any:
    """Text to text, where a number may stand for its text."""
    if not isinstance(written, Mapping):
        raise _misfit("a dict", written)
    if has_templates(list(written)):
        raise ValueError("its keys are names, which are no templates")
    return {key: _text(value, f"[{key!r}]") for key, value in written.items()}


def labels(written: Any) -> Any:
    """A mapping, or a list of `name` or `name=value`."""
    return _pairs(written, "=")


def tmpfs(written: Any) -> Any:
    """A mapping of paths to options, or a list of `path` or `path:options`."""
    return _pairs(written, ":")


def hosts(written: Any) -> Any:
    """A mapping of names to addresses, or a list of `name:address`."""
    return _pairs(written, ":")


def _pairs(written: Any, separator: str) -> Any:
    if isinstance(written, list | tuple):
        parts = (_text(each, "an item").partition(separator) for each in written)
        return texts({name: value for name, _, value in parts})
    return texts(written)


def text_list(written: Any) -> Any:
    """A list of texts, where a number may stand for its text."""
    return [_text(each, "an item") for each in written] if isinstance(written, list | tuple) else written


def number_or_text(written: Any) -> Any:
    """A text, or a whole number for it."""
    return str(written) if isinstance(written, int) and not isinstance(written, bool) else written


def words(written: Any) -> Any:
    """A text, or a list or tuple of texts: their order matters."""
    if written is None or isinstance(written, str | list | tuple):
        return list(written) if isinstance(written, tuple) else written
    raise _misfit("a text or a list of texts", written)


def mounts(written: Any) -> Any:
    """A list of mounts in any of their forms."""
    if not isinstance(written, list | tuple):
        raise _misfit("a list of mounts", written)
    return tuple(read_mount(each) for each in written)


def trigger_rule(written: Any) -> Any:
    """A rule or its name, older names included."""
    rule = TRIGGER_RULE_ALIASES.get(written, written) if isinstance(written, str) else written
    if rule not in list(TriggerRule):
        raise ValueError(f"unknown trigger rule {written!r}{nearest(str(written), list(TriggerRule))}")
    return rule


def json_values(written: Any) -> Any:
    """A mapping of what JSON can say."""
    if not isinstance(written, Mapping):
        raise _misfit("a dict", written)
    try:
        return msgspec.json.decode(msgspec.json.encode(written, enc_hook=_no_json))
    except (TypeError, msgspec.MsgspecError) as error:
        raise ValueError(f"JSON cannot say it: {error}") from error


def json_values_if_any(written: Any) -> Any:
    """The same, or None."""
    return None if written is None else json_values(written)


def _no_json(value: Any) -> Any:
    raise TypeError(f"{type(value).__name__} {value!r}")


def _text(written: Any, place: str) -> str:
    if isinstance(written, str):
        return written
    if isinstance(written, int | float):
        return str(written)
    raise ValueError(f"{place} is {written!r}: expected a text or a number")


def always_pull(written: Any) -> Any:
    """`force_pull`"""
    return PullPolicy.ALWAYS if _switch(written) else PullPolicy.MISSING


def every_line(written: Any) -> Any:
    """`xcom_all`"""
    return ResultFrom.ALL_LINES if _switch(written) else ResultFrom.LAST_LINE


def _switch(written: Any) -> bool:
    if not isinstance(written, bool):
        raise _misfit("True or False", written)
    return written


def _misfit(expected: str, written: object) -> ValueError:
    return ValueError(f"expected {expected}, got {written!r}")
