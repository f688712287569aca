"""The child of the authoring server: one parse, or one rendering, then its end."""

import os
import socket
import traceback
from typing import NoReturn, assert_never

from orchestrator.clock import SystemClock
from orchestrator.dagfiles.enclosure import REPORT, TALK, Watchdog, enclose, limit, use_reserve
from orchestrator.dagfiles.parsing import parse
from orchestrator.dagfiles.rendering import render_try
from orchestrator.dagfiles.schemas import misfit
from orchestrator.dagfiles.wire import (
    Answer,
    Ask,
    Channel,
    Checked,
    CheckTask,
    Parsed,
    ParseTask,
    RenderTask,
    Task,
    Told,
)


def run(talk: int, report: int) -> NoReturn:
    """Take the conversation and the report over and answer one request. Never returns."""
    status = 1
    try:
        enclose(talk, report)
        _answer(Channel(socket.socket(fileno=TALK)))
        status = 0
    except BaseException:  # noqa: BLE001 - the last frame of a process: whatever it was goes into the report
        use_reserve()
        os.write(REPORT, traceback.format_exc().encode(errors="backslashreplace")[-4096:])
    finally:
        os._exit(status)


def _answer(channel: Channel) -> None:
    clock = SystemClock()
    task: Task | None = channel.receive(Task)
    if task is None:
        return
    watchdog = Watchdog(task.limits, clock)
    limit(task.limits)
    watchdog.resume()
    answer: Answer
    match task:
        case ParseTask():
            answer = Parsed(parsed=parse(task, clock))
        case RenderTask():
            answer = render_try(task.facts, lambda question: _asked(channel, watchdog, question))
        case CheckTask():
            answer = Checked(misfit=misfit(task.schema, task.data))
        case _:
            assert_never(task)
    watchdog.pause()
    channel.send(answer)


def _asked(channel: Channel, watchdog: Watchdog, question: Ask) -> Told:
    """The answer of the other side; the time that takes is not the template's."""
    watchdog.pause()
    channel.send(question)
    told: Told | None = channel.receive(Told)
    if told is None:
        raise EOFError("nobody waits for this rendering any more")
    watchdog.resume()
    return told
