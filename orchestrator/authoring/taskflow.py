"""`@task.docker` and its family: a decorated function is a task definition, each call of it a task of the DAG."""

from collections.abc import Callable, Mapping
from functools import update_wrapper
from inspect import getdoc
from types import FunctionType
from typing import Any, ClassVar, overload

from msgspec.structs import replace

from orchestrator.authoring.control import BranchDockerOperator, ShortCircuitDockerOperator
from orchestrator.authoring.faults import about, keep
from orchestrator.authoring.functions import bind, read_function
from orchestrator.authoring.graph import Graph
from orchestrator.authoring.mapped_calls import MappedCall
from orchestrator.authoring.mapping import set_map
from orchestrator.authoring.operators import DockerOperator, Operator
from orchestrator.authoring.outputs import Output, with_handles
from orchestrator.authoring.reading import Fields
from orchestrator.authoring.scope import Scope, scope_for
from orchestrator.authoring.sensors import DockerSensor
from orchestrator.authoring.template_files import with_texts
from orchestrator.errors import AuthoringError
from orchestrator.spec.dag import ContainerTemplate, SensorSpec, TaskSpec
from orchestrator.spec.functions import NOT_READY, SKIPPED, Call, Function
from orchestrator.spec.mapping import MAX_MAP_LENGTH, MapSpec, placeholder

#: Arguments of a DockerOperator that a function takes the place of.
_OF_THE_FUNCTION: Mapping[str, str] = {
    **dict.fromkeys(("command", "script", "entrypoint"), "the function is what the container runs"),
    **dict.fromkeys(
        ("xcom", "xcom_all", "retrieve_output", "retrieve_output_path"), "what the function returns is the result"
    ),
}


class FunctionTask(Operator):
    """Put before an operator that runs a container, it makes one that runs a function in it. `decorator` is what
    people write for it; a false result ends the container with `not_ready`, where there is one."""

    decorator: ClassVar[str]
    not_ready: ClassVar[int | None] = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "decorator" in cls.__dict__:
            cls.title = cls.decorator
            cls.takes = {name: each for name, each in cls.takes.items() if name not in _OF_THE_FUNCTION}
            cls.refuses = {**cls.refuses, **_OF_THE_FUNCTION}
            cls.presets = {**cls.presets, "skip_on_exit_code": SKIPPED}

    def __init__(self, function: Function, call: Call, **arguments: Any) -> None:
        self._function = replace(function, not_ready_exit_code=self.not_ready)
        self._call = call
        super().__init__(**arguments)

    def _spec(self, scope: Scope, fields: Fields) -> TaskSpec:
        made = super()._spec(scope, fields)
        container = replace(made.container or ContainerTemplate(), call=self._call)
        return replace(made, container=container, function=self._function)


class FunctionOperator(FunctionTask, DockerOperator):
    """`@task.docker`"""

    decorator = "@task.docker"


class FunctionBranch(FunctionTask, BranchDockerOperator):
    """`@task.branch`"""

    decorator = "@task.branch"


class FunctionShortCircuit(FunctionTask, ShortCircuitDockerOperator):
    """`@task.short_circuit`"""

    decorator = "@task.short_circuit"


class FunctionSensor(FunctionTask, DockerSensor):
    """`@task.sensor`: what the function returns says whether it is there, and is the result where it is."""

    decorator = "@task.sensor"
    not_ready = NOT_READY

    def _spec(self, scope: Scope, fields: Fields) -> TaskSpec:
        made = super()._spec(scope, fields)
        sensor = made.sensor or SensorSpec()
        codes = tuple(sorted({NOT_READY, *sensor.not_ready_exit_codes}))
        return replace(made, sensor=replace(sensor, not_ready_exit_codes=codes))


class Decorated:
    """A function that defines a task when it is called, and gives a handle on the task's result. A second call
    makes `<task_id>__1`."""

    def __init__(self, function: FunctionType, operator: type[FunctionTask], arguments: Mapping[str, Any]) -> None:
        given = dict(arguments)
        self._operator = operator
        self._function = function
        self._task_id = given.pop("task_id", None) or getattr(function, "__name__", "")
        self._what = f"{operator.decorator} {self._task_id!r}"
        self._op_args = tuple(given.pop("op_args", None) or ())
        self._op_kwargs = dict(given.pop("op_kwargs", None) or {})
        self._templates_dict = given.pop("templates_dict", None)
        self._max_length = given.pop("max_map_length", MAX_MAP_LENGTH)
        self._arguments = given
        self._source = read_function(self._what, function)
        update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Output:
        """Define the task. Arguments may be whatever JSON can say, templates, and results of other tasks."""
        scope = self._scope()
        task_id = scope.graph.free_id(scope.prefix + self._task_id).removeprefix(scope.prefix)
        with about(scope.graph.dag_id, scope.prefix + task_id):
            try:
                call, filled = self._bound(scope.graph, args, kwargs)
            except AuthoringError as error:
                keep(error)
                call, filled = Call(), []
        given = {"doc_md": getdoc(self._function), **self._arguments, "task_id": task_id}
        return self._operator(replace(self._source, filled=tuple(filled)), call, **given).output

    def partial(self, *args: Any, **kwargs: Any) -> MappedCall[Output]:
        """Arguments that all instances of a mapped task share; `.expand(...)` says what differs."""

        def define(over: MapSpec, stands: Mapping[str, str | None]) -> Output:
            elements = {name: placeholder(name, default=default) for name, default in stands.items()}
            output = self(*args, **kwargs, **elements)
            set_map(output.graph, output.node_id, over)
            return output

        given = (self._op_args + args, {**self._op_kwargs, **kwargs})
        return MappedCall(self._what, self._scope, self._function, given, define, self._max_length)

    def expand(self, **axes: Any) -> Output:
        """Define a task with an instance for each element; of several arguments, for each combination."""
        return self.partial().expand(**axes)

    def expand_kwargs(self, elements: Any) -> Output:
        """Define a task with an instance for each element: a dict of several arguments."""
        return self.partial().expand_kwargs(elements)

    def override(self, **arguments: Any) -> "Decorated":
        """The same function with other arguments of its operator, as in `override(task_id="again")`."""
        own = {
            "task_id": self._task_id,
            "op_args": self._op_args,
            "op_kwargs": self._op_kwargs,
            "templates_dict": self._templates_dict,
            "max_map_length": self._max_length,
        }
        return Decorated(self._function, self._operator, {**own, **self._arguments, **arguments})

    def _scope(self) -> Scope:
        return scope_for(self._what, dag=self._arguments.get("dag"), group=self._arguments.get("task_group"))

    def _bound(self, graph: Graph, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Call, list[str]]:
        def written(value: Any) -> Any:
            data = with_handles(self._what, value, graph, values=True)
            return with_texts(self._what, data, graph.searchpath)

        given = {**self._op_kwargs, **kwargs}
        if self._templates_dict is not None:
            given.setdefault("templates_dict", self._templates_dict)
        return bind(self._what, self._function, written(self._op_args + args), written(given))


class TaskDecorator:
    """A decorator for functions: `@task.docker`, or with arguments of its operator `@task.docker(image="...")`."""

    def __init__(self, operator: type[FunctionTask]) -> None:
        self._operator = operator

    @overload
    def __call__(self, function: Callable[..., Any], /) -> Decorated: ...
    @overload
    def __call__(self, function: None = None, /, **arguments: Any) -> Callable[[Callable[..., Any]], Decorated]: ...
    def __call__(self, function: Callable[..., Any] | None = None, /, **arguments: Any) -> Any:
        if function is None:
            return lambda decorated: Decorated(decorated, self._operator, arguments)
        return Decorated(function, self._operator, arguments)  # type: ignore[arg-type] # `read_function` tells


class Task(TaskDecorator):
    """`@task`, which is `@task.docker`, and its kin."""

    __name__ = "task"
    docker = TaskDecorator(FunctionOperator)
    branch = TaskDecorator(FunctionBranch)
    short_circuit = TaskDecorator(FunctionShortCircuit)
    sensor = TaskDecorator(FunctionSensor)


#: What a DAG file imports.
task = Task(FunctionOperator)
