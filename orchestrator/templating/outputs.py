"""`output(task_id, path)` in a template: a file that another task of the run kept, which is copied in as an input.
It has no text: all that a template can do with it is to be it."""

from typing import Any

import msgspec

from orchestrator.errors import RenderError
from orchestrator.spec.artifacts import OutputRef


class Outputs:
    """What `output` is in the templates of one try."""

    def __init__(self) -> None:
        self._asked: list[OutputRef] = []

    def __call__(self, task_id: str, path: str) -> str:
        """Stands for a kept file, or a folder of them, by its absolute path in that task's container."""
        if not (isinstance(task_id, str) and isinstance(path, str) and path.startswith("/")):
            raise RenderError(
                f"output({task_id!r}, {path!r}) names no output",
                fix="write output('task', '/absolute/path'), as that task's container has it",
            )
        self._asked.append(OutputRef(task_id=task_id, path=path))
        return _stand_in(self._asked[-1])

    def settle(self, field: str, value: Any) -> Any:
        """What a rendered field is: a reference where it is nothing but one. RenderError where a reference stands
        anywhere else."""
        asked, self._asked = self._asked, []
        if not asked:
            return value
        lone = len(asked) == 1 and isinstance(value, str) and value.strip() == _stand_in(asked[0])
        if lone and field.startswith("inputs."):
            return msgspec.to_builtins(asked[0])
        call = f"output({asked[0].task_id!r}, {asked[0].path!r})"
        raise RenderError(
            f"{call} is a file of another container, and no text",
            field=field,
            fix=f'copy it in: inputs={{{asked[0].path!r}: "{{{{ {call} }}}}"}}',
        )


def _stand_in(wanted: OutputRef) -> str:
    return f"<output {wanted.task_id} {wanted.path}>"
