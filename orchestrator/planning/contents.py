"""What a world knows of what is in rows, for those who compare two of them."""

from collections.abc import Mapping
from typing import Any

from orchestrator.planning.world import World


def contents(world: World) -> Mapping[str, Any]:
    """What follows from rows, as plain values: equal for worlds that know the same."""
    tables = (
        "dags",
        "runs",
        "tasks",
        "tries",
        "parents",
        "came_to",
        "ruled_out",
        "unfinished",
        "used",
        "running",
        "open_try",
        "gathered",
        "newest_event",
    )
    return {
        **{name: dict(getattr(world, name).items()) for name in tables},
        "blueprints": {key for key, _ in world.blueprints.items()},
        **{
            name: {group: list(getattr(world, name).entries(group)) for group in getattr(world, name).groups()}
            for name in ("dags_of", "queued", "tasks_of", "indexes", "waits", "watchers", "consumers")
        },
        "timers": world.timers.all(),
    }
