"""Operators: constructing one inside a DAG *is* defining a task. They hold no behaviour: arguments become a
`TaskSpec` in the DAG's graph at once, and the operator stays as the handle that edges are written with."""

from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn, Self, Unpack

from msgspec.structs import replace

from orchestrator.authoring.arguments import AtOnceArguments, DockerArguments, PartialArguments
from orchestrator.authoring.edges import Node, Nodes, connect, each_node
from orchestrator.authoring.faults import Rule, about, fault, keep, user_line
from orchestrator.authoring.mapping import Partial
from orchestrator.authoring.outputs import Output, with_handles
from orchestrator.authoring.reading import Fields, read_arguments
from orchestrator.authoring.scope import Scope, scope_for
from orchestrator.authoring.taken import DOCKER, EMPTY, Argument
from orchestrator.authoring.without_effect import IDLE_DOCKER, IDLE_EMPTY, without_idle
from orchestrator.errors import AuthoringError
from orchestrator.spec.dag import ContainerTemplate, RetryPolicy, TaskKind, TaskSpec, Teardown
from orchestrator.spec.handles import handles_in


class Operator(Node):
    """A task of a DAG. What it takes is in `takes`, what it takes without effect in `idle`, what it refuses in
    `refuses` with the reason, what it is given where nobody says otherwise in `presets`; `kind` says who does its
    work, `title` is how people are told of it.

    While a file is parsed, one that is given what cannot be is a task all the same, with nothing of what it was
    given, so that all mistakes of a file are told together."""

    __slots__ = ("graph", "node_id")
    kind: ClassVar[TaskKind]
    takes: ClassVar[Mapping[str, Argument]]
    idle: ClassVar[Mapping[str, str]]
    refuses: ClassVar[Mapping[str, str]] = {}
    presets: ClassVar[Mapping[str, Any]] = {}
    title: ClassVar[str]

    def __init_subclass__(cls) -> None:
        cls.title = cls.__name__

    def __init__(self, **arguments: Any) -> None:
        given = dict(arguments)
        task_id = given.pop("task_id", None)
        if not isinstance(task_id, str):
            raise fault(f"{self.title}: task_id is missing", rule=Rule.MISSING_ARGUMENT, fix='write task_id="..."')
        what = f"{self.title} {task_id!r}"
        scope = scope_for(what, dag=given.pop("dag", None), group=given.pop("task_group", None))
        self.graph, self.node_id = scope.graph, scope.prefix + task_id
        with about(self.graph.dag_id, self.node_id):
            try:
                spec = self._spec(scope, self._read(what, scope, given))
            except AuthoringError as error:
                keep(error)
                spec = TaskSpec(
                    task_id=self.node_id,
                    kind=self.kind,
                    operator=self.title,
                    group=scope.group_id,
                    line=user_line(),
                )
            self._add(spec)

    def _read(self, what: str, scope: Scope, given: Mapping[str, Any]) -> Fields:
        graph = scope.graph
        given = without_idle(what, self.takes, self.idle, given, graph, self.node_id)
        given = with_handles(what, given, graph)
        defaults = {**self.presets, **_without_rivals(given, scope.default_args)}
        defaults = with_handles(what, defaults, graph)
        return read_arguments(what, self.takes, given, defaults, graph.searchpath, self.refuses)

    def _add(self, spec: TaskSpec) -> None:
        try:
            self.graph.add_task(spec)
        except AuthoringError as error:
            if self.node_id not in self.graph.tasks:
                raise
            keep(error)  # of two tasks of one id the second goes on with another, lest edges be both's
            self.node_id = self.graph.free_id(self.node_id)
            self.graph.add_task(replace(spec, task_id=self.node_id))
        for handle in handles_in(spec):
            if handle.task_id in self.graph.tasks:
                self.graph.connect(handle.task_id, self.node_id)

    def _spec(self, scope: Scope, fields: Fields) -> TaskSpec:
        container = self.kind is TaskKind.CONTAINER
        return TaskSpec(
            task_id=self.node_id,
            kind=self.kind,
            operator=self.title,
            container=ContainerTemplate(**fields.get(ContainerTemplate, {})) if container else None,
            retry=RetryPolicy(**fields.get(RetryPolicy, {})),
            group=scope.group_id,
            line=user_line(),
            **fields.get(TaskSpec, {}),
        )

    @property
    def task_id(self) -> str:
        """The id in the DAG, with the prefixes of its groups."""
        return self.node_id

    @property
    def output(self) -> Output:
        """A handle on its result: an argument of other tasks, which then wait for it."""
        return Output(self)

    @property
    def spec(self) -> TaskSpec:
        """What was defined; `upstream` is known only when the whole DAG is."""
        return self.graph.tasks[self.node_id]

    @property
    def doc_md(self) -> str | None:
        """Markdown shown beside the task; may also be set after construction, as DAG files often do."""
        return self.spec.doc_md

    @doc_md.setter
    def doc_md(self, text: str | None) -> None:
        self.graph.tasks[self.node_id] = replace(self.spec, doc_md=text)

    def as_setup(self) -> Self:
        """Make it a setup: tasks between it and a teardown run only where it succeeded."""
        self.graph.tasks[self.node_id] = replace(self.spec, setup=True)
        return self

    def as_teardown(self, *, setups: Nodes | None = None, on_failure_fail_dagrun: bool = False) -> Self:
        """Make it a teardown of `setups` (which it makes setups), and of every setup with an edge to it: it runs
        once all before it is done, whatever came of it, where a setup succeeded. Its own failure fails the run
        only where `on_failure_fail_dagrun`. In `with` it is put after, and its setups before, what is defined
        inside."""
        for node in each_node(() if setups is None else setups):
            setup = node.operator if isinstance(node, Output) else node
            if not isinstance(setup, Operator):
                raise fault(
                    f"as_teardown: {setup!r} cannot be a setup",
                    rule=Rule.BAD_ARGUMENT,
                    fix="a setup is a task: name the task itself",
                )
            connect(setup.as_setup(), self)
        teardown = Teardown(fails_run=on_failure_fail_dagrun)
        self.graph.tasks[self.node_id] = replace(self.spec, teardown=teardown)
        return self

    @classmethod
    def expand(cls, *_: object, **axes: object) -> NoReturn:
        """Refused: `expand` belongs to `partial`, which says what all instances share."""
        over = ", ".join(f"{name}=..." for name in axes) or "..."
        raise fault(
            f"{cls.title}: a task that is there already cannot be expanded",
            rule=Rule.BAD_ARGUMENT,
            fix=f"write {cls.title}.partial(task_id=..., ...).expand({over})",
        )

    expand_kwargs = expand

    def __enter__(self) -> Self:
        if self.spec.teardown is None:
            raise fault(
                f"`with` {self!r}: only a teardown has a scope",
                rule=Rule.BAD_ARGUMENT,
                fix="write `with task.as_teardown(setups=...):`",
            )
        self.graph.open_scope()
        return self

    def __exit__(self, *_: object) -> None:
        self.graph.close_scope(self.node_id)


class AtOnceOperator(Operator):
    """A task that is done in the moment in which it is ready. It runs no container."""

    __slots__ = ()
    takes = EMPTY
    idle = IDLE_EMPTY

    def __init__(self, **arguments: Unpack[AtOnceArguments]) -> None:
        super().__init__(**arguments)

    @classmethod
    def partial(cls, **arguments: Any) -> NoReturn:
        """It cannot be mapped: its instances would not differ in anything."""
        raise fault(
            f"{cls.title} {arguments.get('task_id')!r} cannot be mapped: there is nothing in which its instances"
            " could differ",
            rule=Rule.BAD_ARGUMENT,
            fix=f"write {cls.title}(...) once, and map the task before it or after it",
        )


class EmptyOperator(AtOnceOperator):
    """A task without work: a place in the graph where edges meet. It runs no container."""

    __slots__ = ()
    kind = TaskKind.EMPTY


class DockerOperator(Operator):
    """A task that runs one container per try. Exit code 0 is success."""

    __slots__ = ()
    kind = TaskKind.CONTAINER
    takes = DOCKER
    idle = IDLE_DOCKER

    def __init__(self, **arguments: Unpack[DockerArguments]) -> None:
        super().__init__(**arguments)

    def _spec(self, scope: Scope, fields: Fields) -> TaskSpec:
        container = fields.get(ContainerTemplate, {})
        if container.get("script") is not None and any(container.get(name) is not None for name in _PROCESS):
            raise fault(
                f"{self.title} {self.node_id!r}: script excludes command and entrypoint",
                rule=Rule.BAD_ARGUMENT,
                fix="keep one of them; script runs `sh -ec`",
            )
        return super()._spec(scope, fields)

    @classmethod
    def partial(cls, **arguments: Unpack[PartialArguments]) -> Partial[Self]:
        """The beginning of a mapped task: `partial(...)` with what all its instances share, then `.expand(...)`."""
        return Partial(cls.title, arguments, cls)


_PROCESS = ("command", "entrypoint")


def _without_rivals(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Defaults, but for those that what is given excludes: a script and a command are alternatives."""
    rivals = _PROCESS if "script" in given else ("script",) if any(name in given for name in _PROCESS) else ()
    return {name: value for name, value in defaults.items() if name not in rivals}
