"""What can be told without a container: folders, disk space, the clock, the task images' sources."""

import os
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from orchestrator.bootstrap.steps import Finding, Say, Step, fail, ok, warn
from orchestrator.clock import Clock
from orchestrator.errors import ImageError, RepairError
from orchestrator.images.calls import ImageApi, engine_calls
from orchestrator.images.catalog import Catalog
from orchestrator.settings import EngineSettings, Project

_GIB = 1 << 30
_SCARCE, _TOO_LITTLE = 5 * _GIB, 1 * _GIB
_DRIFT = timedelta(seconds=5)


def folders_step(project: Project) -> Step:
    """The home and its folders are there and can be written."""
    folders = (project.home, project.logs_folder, project.run_folder, project.home / "data")

    def look() -> Finding:
        missing = [folder for folder in folders if not folder.is_dir()]
        if missing:
            fix = "`orchestrator doctor --fix` (or `up`) creates them"
            return warn(f"not there yet: {', '.join(str(folder) for folder in missing)}", fix, repairable=True)
        closed = [str(folder) for folder in folders if not os.access(folder, os.W_OK | os.X_OK)]
        if closed:
            return fail(
                f"not writable: {', '.join(closed)}", f"give them to your user: chown -R $USER {project.home}"
            )
        return ok(f"all state is kept in {project.home}")

    def repair(say: Say) -> None:
        for folder in folders:
            say(f"creating {folder}")
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise RepairError(f"{folder} cannot be made: {error}", fix="set ORCHESTRATOR_HOME") from error

    return Step(name="folders", look=look, repair=repair)


def room_step(settings: EngineSettings) -> Step:
    """How tasks are counted against what the engine has (spec scheduling 4)."""

    def look() -> Finding:
        cores = f"{settings.cpus:g}" if settings.cpus else "all its"
        memory = f"{settings.memory} MiB" if settings.memory else "all its"
        return ok(
            f"limits of running tasks may add up to {cores} cores and {memory} memory; a task without `cpus` "
            f"counts for {settings.assume_cpus:g} cores, one without `mem_limit` for {settings.assume_memory} MiB"
        )

    return Step(name="room for tasks", look=look)


def disk_step(project: Project) -> Step:
    """There is room where state, results and logs are kept."""

    def look() -> Finding:
        there = next(folder for folder in (project.home, *project.home.parents) if folder.is_dir())
        return disk_finding(shutil.disk_usage(there).free, project.home)

    return Step(name="disk", look=look)


def disk_finding(free: int, folder: Path) -> Finding:
    """What `free` bytes of room below `folder` mean."""
    text = f"{free / _GIB:.1f} GiB are free at {folder}"
    if free < _TOO_LITTLE:
        return fail(text, "make room, or set ORCHESTRATOR_HOME to another disk")
    if free < _SCARCE:
        return warn(text, "make room: logs, results and images grow")
    return ok(text)


def clock_step(api: ImageApi, clock: Clock, needs: tuple[str, ...]) -> Step:
    """The engine's clock agrees with ours: schedules go by ours, a try's times by the engine's."""

    def look() -> Finding:
        before = clock.now()
        with engine_calls():
            told = str(api.client().info()["SystemTime"])
        return clock_finding(before, engine_time(told), clock.now())

    return Step(name="clock", look=look, needs=needs)


def engine_time(text: str) -> datetime:
    """An instant as the engine writes it: RFC 3339 with nanoseconds."""
    return datetime.fromisoformat(text)


def clock_finding(before: datetime, theirs: datetime, after: datetime) -> Finding:
    """What an engine's instant means that was told between two of ours."""
    drift = max(before - theirs, theirs - after, timedelta(0))
    if drift > _DRIFT:
        text = f"the engine's clock is {drift.total_seconds():.0f} s off ours ({theirs:%Y-%m-%d %H:%M:%S} there)"
        return warn(
            text, "let both machines follow a time server; restart the engine's virtual machine if it has one"
        )
    return ok(f"it is {after:%Y-%m-%d %H:%M:%S} UTC here and at the engine")


def task_images_step(catalog: Catalog) -> Step:
    """Every task image's folder can be read and none is built from itself."""

    def look() -> Finding:
        problems = [problem for name in catalog.names() if (problem := _problem(catalog, name))]
        if problems:
            return fail(problems[0].message, problems[0].fix)
        return ok(f"{len(catalog.names())} task images can be built")

    return Step(name="task images", look=look)


def _problem(catalog: Catalog, name: str) -> ImageError | None:
    try:
        catalog.load([name])
    except ImageError as error:
        return error
    return None


def database_step(look: Callable[[], Finding], repair: Callable[[Say], None]) -> Step:
    """The database is there and current, as its own module tells and repairs."""
    return Step(name="database", look=look, repair=repair)
