"""Plays some histories and prints which functions of the shipped scheduler are not as their modules define them,
which names of its modules were replaced, and which of its modules did nothing. For a process of its own."""

import json
import sys
from collections.abc import Iterator
from types import FrameType, FunctionType, ModuleType

from orchestrator.testing.simulate import playground, same_every_time

SHIPPED = ("orchestrator.scheduler.", "orchestrator.planning.", "orchestrator.store.", "orchestrator.tasklogs.")
SEEDS = 25


def modules() -> list[ModuleType]:
    return [module for name, module in sorted(sys.modules.items()) if name.startswith(SHIPPED)]


def functions(module: ModuleType) -> Iterator[tuple[str, FunctionType]]:
    for name, value in vars(module).items():
        if isinstance(value, FunctionType):
            yield name, value
        elif isinstance(value, type) and value.__module__ == module.__name__:
            yield from ((f"{name}.{own}", f) for own, f in vars(value).items() if isinstance(f, FunctionType))


def main() -> None:
    before = {module.__name__: dict(vars(module)) for module in modules()}
    defined = {(m.__name__, name): f.__code__ for m in modules() for name, f in functions(m)}
    ran: set[str] = set()

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            ran.add(frame.f_globals.get("__name__", ""))

    sys.setprofile(note)
    with playground() as ground:
        violations = [ground.play(seed) for seed in range(SEEDS)]
    sys.setprofile(None)
    after = {(m.__name__, name): f.__code__ for m in modules() for name, f in functions(m)}
    json.dump(
        {
            "violations": [each for each in violations if each],
            "changed": sorted(".".join(key) for key, code in defined.items() if after.get(key) is not code),
            "replaced": sorted(
                {name for m in modules() for name, value in vars(m).items() if _differs(before, m, name, value)}
            ),
            "idle": sorted(name for name in before if name not in ran),
        },
        sys.stdout,
    )


def _differs(before: dict[str, dict[str, object]], module: ModuleType, name: str, value: object) -> bool:
    return before[module.__name__].get(name) is not value


if __name__ == "__main__":
    same_every_time()
    main()
