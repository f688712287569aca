"""Rendering instances of mapped tasks through the real server."""

from typing import Any

import msgspec
from authoring_project import facts_of

from orchestrator.dagfiles.client import AuthoringServer
from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning.rows import Reason
from orchestrator.ports import RenderFacts
from orchestrator.spec.container import Mount, MountType
from orchestrator.spec.dag import ContainerTemplate
from orchestrator.spec.functions import Call, Function
from orchestrator.spec.mapping import Axis, Concat, FromResult, Literal, MapSpec, Source, Zip, placeholder

#: What a template would make of it, and a shell.
NASTY = "{{ ds }} {% if x %} $(id) 'quoted' \n"


class Results:
    """What tasks handed on, and what was asked of it."""

    def __init__(self, **values: Any) -> None:
        self.values = values
        self.asked: list[tuple[str, int | None]] = []

    def result(self, key: TaskKey) -> bytes | None:
        self.asked.append((key.task_id, key.map_index))
        value = self.values.get(key.task_id)
        if isinstance(value, tuple):
            value = value[key.map_index]
        return None if value is None else msgspec.json.encode(value)

    def all(self, _run: RunKey, task_id: str, place: int | None) -> tuple[bytes, ...]:
        self.asked.append((task_id, place))
        found = [msgspec.json.encode(each) for each in self.values[task_id] if each is not None]
        return tuple(found if place is None else found[place : place + 1])


def facts(container: ContainerTemplate, over: MapSpec | None, index: int, **changes: Any) -> RenderFacts:
    made = facts_of(container)
    function = changes.pop("function", None)
    own = changes.pop("own", True)
    spec = msgspec.structs.replace(made.spec, map=over if own else None, function=function)
    key = TaskKey(made.task.dag_id, made.task.run_id, made.task.task_id, index)
    mapped = changes.pop("mapped", {made.spec.task_id: made.spec.task_id})
    return msgspec.structs.replace(made, task=key, spec=spec, map=over, mapped=mapped, **changes)


def over(argument: str | None, source: Source, *more: Axis) -> MapSpec:
    return MapSpec(axes=(Axis(argument=argument, source=source), *more))


def render(authoring: AuthoringServer, wanted: RenderFacts, results: Results | None = None) -> ContainerTemplate:
    given = results or Results()
    said = authoring.render(wanted, given.result, instances=given.all)
    assert isinstance(said, ContainerTemplate), said
    return said


def refusal(authoring: AuthoringServer, wanted: RenderFacts, results: Results) -> str:
    said = authoring.render(wanted, results.result, instances=results.all)
    assert isinstance(said, Reason)
    return said.text


def test_elements_of_results_are_data_and_read_as_the_constructor_does(authoring: AuthoringServer) -> None:
    axes = over("environment", FromResult(task_id="list"), Axis(argument="mounts", source=FromResult(task_id="to")))
    results = Results(list=[{"N": 1}, {"N": NASTY}], to=[["vol:/v:ro"]])
    made = render(authoring, facts(ContainerTemplate(image="x", command="a {{ ds }}"), axes, 1), results)
    assert made.environment == {"N": NASTY}
    assert made.mounts == (Mount(source="vol", target="/v", type=MountType.VOLUME, read_only=True),)
    assert made.command == "a 2013-01-31"


def test_elements_that_stand_in_the_file_are_templates(authoring: AuthoringServer) -> None:
    axes = over(
        "command", Literal(values=["a", ["b", "{{ ds }}"]]), Axis(argument="user", source=Literal(values=["1"]))
    )
    assert render(authoring, facts(ContainerTemplate(), axes, 1)).command == ["b", "2013-01-31"]


def test_what_is_zipped_keeps_templates_and_data_apart(authoring: AuthoringServer) -> None:
    sources = (Literal(values=["{{ ds }}"]), FromResult(task_id="list"))
    axes = over("command", Zip(sources=sources, filled=True, fill="-"))
    results = Results(list=[NASTY, "last"])
    chosen = [render(authoring, facts(ContainerTemplate(), axes, index), results).command for index in range(2)]
    assert chosen == [["2013-01-31", NASTY], ["-", "last"]]


def test_what_is_joined_comes_one_after_the_other(authoring: AuthoringServer) -> None:
    sources = (FromResult(task_id="list"), Literal(values=["{{ ds }}"]), FromResult(task_id="each"))
    changes: dict[str, Any] = {"mapped": {"rank": "rank", "each": "each"}, "counts": {"each": 2}}
    results = Results(list=["a"], each=(None, "b", None, "c"))
    axes = over("command", Concat(sources=sources))
    chosen = [
        render(authoring, facts(ContainerTemplate(), axes, index, **changes), results).command for index in range(4)
    ]
    assert chosen == ["a", "2013-01-31", "b", "c"]


def test_of_a_mapped_tasks_results_only_the_one_that_is_wanted_is_asked_for(authoring: AuthoringServer) -> None:
    changes: dict[str, Any] = {"mapped": {"rank": "rank", "each": "each"}, "counts": {"each": 2}}
    results = Results(each=("a", None, "b"))
    made = render(
        authoring, facts(ContainerTemplate(), over("command", FromResult(task_id="each")), 1, **changes), results
    )
    assert (made.command, results.asked) == ("b", [("each", 1)])


def test_several_arguments_come_from_one_element(authoring: AuthoringServer) -> None:
    results = Results(list=[{"command": ["x", "y"], "environment": {"A": 2}}])
    made = render(
        authoring, facts(ContainerTemplate(image="i"), over(None, FromResult(task_id="list")), 0), results
    )
    assert (made.image, made.command, made.environment) == ("i", ["x", "y"], {"A": "2"})


def test_an_element_that_does_not_fit_fails_its_own_instance(authoring: AuthoringServer) -> None:
    axes = over(None, FromResult(task_id="list"))
    results = Results(list=[{"pool": "p"}, 7, {"image": "twice"}, {"environment": {"A": []}}])
    said = [refusal(authoring, facts(ContainerTemplate(image="i"), axes, index), results) for index in range(4)]
    for text, words in zip(
        said, ("'pool' cannot be expanded", "is 7", "image is given", "environment"), strict=True
    ):
        assert words in text


def test_parameters_of_a_function_take_values(authoring: AuthoringServer) -> None:
    call = Call(
        args=[placeholder("x")], kwargs={"y": placeholder("y", default="[1]"), "z": f"<{placeholder('x')}>"}
    )
    function = Function(name="f", source="def f(): pass", file="f.py", line=1)
    axes = over(None, FromResult(task_id="list"))
    results = Results(list=[{"x": {"deep": NASTY}}])
    made = render(authoring, facts(ContainerTemplate(call=call), axes, 0, function=function), results)
    assert made.call is not None
    assert made.call.args == [{"deep": NASTY}]
    assert made.call.kwargs["y"] == [1]


def test_a_groups_element_is_data_in_scripts_and_a_value_in_lists(authoring: AuthoringServer) -> None:
    container = ContainerTemplate(
        script=f"echo {placeholder('x')}",
        environment={"N": f"{placeholder('x')}!"},
        map_index_template="{{ element('x') }}",
    )
    axes = over("x", FromResult(task_id="list"))
    made = render(authoring, facts(container, axes, 0, own=False), Results(list=["$(id)"]))
    assert made.environment == {"N": "$(id)!"}
    assert made.map_index_template == "$(id)"
    assert made.script is not None
    assert "echo $(id)" not in made.script


def test_a_mapped_task_is_pulled_as_a_list_and_asked_for_once(authoring: AuthoringServer) -> None:
    container = ContainerTemplate(
        command=["x", "{{ ti.xcom_pull('each') | tojson }}", '{{ result("each") | length }}']
    )
    results = Results(each=({"n": 1}, None, {"n": NASTY}))
    wanted = facts(container, None, -1, mapped={"each": "each"})
    made = render(authoring, wanted, results)
    assert isinstance(made.command, list)
    assert msgspec.json.decode(made.command[1]) == [{"n": 1}, {"n": NASTY}]
    assert (made.command[2], results.asked) == ("2", [("each", None)])


def test_a_mapped_task_without_results_is_pulled_as_an_empty_list(authoring: AuthoringServer) -> None:
    container = ContainerTemplate(command=["x", "{{ ti.xcom_pull('each') }}"])
    assert render(authoring, facts(container, None, -1, mapped={"each": "each"}), Results(each=())).command == [
        "x",
        "[]",
    ]


def test_in_a_mapped_group_a_pull_meets_the_own_index(authoring: AuthoringServer) -> None:
    container = ContainerTemplate(command=["{{ ti.map_index }}", "{{ ti.xcom_pull('first') }}"])
    wanted = facts(container, None, 1, mapped={"first": "group", "rank": "group"})
    assert render(authoring, wanted, Results(first=("a", "b"))).command == ["1", "b"]


def test_one_instance_can_be_pulled_by_its_index(authoring: AuthoringServer) -> None:
    container = ContainerTemplate(command=["x", "{{ ti.xcom_pull('each', map_indexes=2) }}"])
    wanted = facts(container, None, -1, mapped={"each": "each"})
    assert render(authoring, wanted, Results(each=("a", None, "c"))).command == ["x", "c"]


def test_an_element_that_is_gone_is_told(authoring: AuthoringServer) -> None:
    wanted = facts(ContainerTemplate(), over("command", FromResult(task_id="list")), 3)
    assert "no element 3 any more" in refusal(authoring, wanted, Results(list=["a"]))


def test_elements_are_for_mapped_tasks(authoring: AuthoringServer) -> None:
    wanted = facts(ContainerTemplate(command=["x", "{{ element('a') }}"]), None, -1)
    assert "this is none" in refusal(authoring, wanted, Results())


def test_only_named_axes_can_be_asked_for(authoring: AuthoringServer) -> None:
    wanted = facts(ContainerTemplate(user="{{ element('comand') }}"), over("command", Literal(values=["a"])), 0)
    assert "did you mean 'command'" in refusal(authoring, wanted, Results())
