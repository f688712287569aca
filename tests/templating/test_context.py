from datetime import UTC, datetime

import pytest
from template_facts import context, facts

from orchestrator.errors import RenderError
from orchestrator.ids import TaskKey
from orchestrator.spec.assets import AssetSpec
from orchestrator.spec.functions import FILLED_NAMES
from orchestrator.states import RunType
from orchestrator.templating.context import build_context
from orchestrator.templating.facts import AssetFact
from orchestrator.templating.names import DATA_NAMES, NAMES
from orchestrator.templating.render import render_field, render_value


def shown(text: str, results: dict[str, bytes] | None = None, **changes: object) -> str:
    return render_field("command", text, context(results, **changes))


def test_the_context_has_exactly_the_names_that_the_checks_know() -> None:
    assert context().keys() == NAMES
    assert DATA_NAMES < NAMES


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ ds }} {{ ds_nodash }}", "2013-01-31 20130131"),
        ("{{ ts }}", "2013-01-31T00:00:00+00:00"),
        ("{{ ts_nodash }} {{ ts_nodash_with_tz }}", "20130131T000000 20130131T000000+0000"),
        ("{{ next_ds }} {{ prev_ds_nodash }}", "2013-02-01 20130130"),
        ("{{ tomorrow_ds }} {{ yesterday_ds_nodash }}", "2013-02-01 20130130"),
        ("{{ data_interval_end | ts }}", "2013-02-01T00:00:00+00:00"),
        ("{{ logical_date.add(months=1) | ds }}", "2013-02-28"),
        ("{{ execution_date == logical_date == data_interval_start }}", "True"),
        ("{{ prev_data_interval_start_success | ds }}", "2013-01-29"),
        ("{{ prev_data_interval_end_success | ds }}", "2013-01-30"),
        ("{{ prev_execution_date_success | ds_nodash }}", "20130129"),
        ("{{ prev_start_date_success | ts }}", "2013-01-30T00:00:02+00:00"),
        ("{{ run_id }} {{ dag_run.run_id }}", "scheduled__2013-01-31T00:00:00+00:00 " * 2),
        ("{{ dag_run.run_type }} {{ dag_run.external_trigger }}", "scheduled False"),
        ("{{ dag.dag_id }} {{ dag.tags | join(',') }} {{ dag.file }}", "flights air,daily flights.py"),
        ("{{ task.task_id }} {{ task.retries }} {{ task.owner }}", "rank 2 ann"),
        ("{{ ti.try_number }} {{ task_instance.map_index }}", "2 -1"),
        ("{{ task_instance_key_str }}", "flights__rank__20130131"),
        ("{{ params.top }} {{ params.city }}", "5 New York"),
        ("{{ image('flights') }}", "orchestrator/flights:0123456789ab"),
        ("{{ test_mode }}", "False"),
        ("{{ triggering_asset_events }} {{ inlets | length }} {{ outlets | length }}", "{} 0 0"),
        ("{{ dag.params.city }} {{ dag.max_active_runs }} {{ dag.start_date is none }}", "New York 16 True"),
        ("{{ task.params.top }} {{ task.pool_slots }}", "5 1"),
        ("{{ ti.max_tries }} {{ ti.operator }} {{ ti.execution_date | ds }}", "2 DockerOperator 2013-01-31"),
        ("{{ dag_run.state }} {{ dag_run.start_date | ts }}", "running 2013-02-01T00:00:01+00:00"),
    ],
)
def test_each_name_has_its_value(text: str, expected: str) -> None:
    assert shown(text) == expected.strip()


def test_updates_of_assets_tell_what_came_whence_and_are_never_rendered() -> None:
    source = TaskKey("lake", "manual__1", "load", 3)
    made = {"uri": "s3://lake/orders", "actor": "scheduler"}
    first = AssetFact(asset="orders", at=datetime(2013, 1, 31, tzinfo=UTC), extra="{{ ds }}", source=source, **made)
    second = AssetFact(
        asset="orders", at=datetime(2013, 1, 31, 5, tzinfo=UTC), extra={"n": 10**30}, source=None, **made
    )
    events = {"orders": [first, second]}
    text = (
        "{% for event in triggering_asset_events.orders %}{{ event.timestamp | ts }} {{ event.extra }}"
        " {{ event.source_dag_id }}.{{ event.source_task_id }}[{{ event.source_map_index }}] {{ event.uri }};"
        "{% endfor %}"
    )
    assert shown(text, asset_events=events) == (
        "2013-01-31T00:00:00+00:00 {{ ds }} lake.load[3] s3://lake/orders;"
        f"2013-01-31T05:00:00+00:00 {{'n': {10**30}}} None.None[None] s3://lake/orders;"
    )


def test_inlets_and_outlets_are_there_as_written() -> None:
    orders = AssetSpec(name="orders", uri="s3://lake/orders", extra={"owner": "{{ ds }}"})
    text = "{{ outlets[0].uri }} {{ outlets[0].extra.owner }} {{ inlets[0].name }}"
    assert shown(text, inlets=(orders,), outlets=(orders,)) == "s3://lake/orders {{ ds }} orders"


def test_parameters_may_have_every_name_that_json_can_say() -> None:
    for name in FILLED_NAMES:
        render_value("call.kwargs.x", f"{{{{ {name} | text }}}}", context(), native=False)
    assert set(FILLED_NAMES) == NAMES - {"macros", "image", "output", "var", "conn", "result", "element"}


def test_dates_are_shown_in_the_zone_of_the_dag() -> None:
    midnight_in_berlin = datetime(2013, 7, 1, 22, tzinfo=UTC)
    assert shown("{{ ds }} {{ ts }}", start=midnight_in_berlin, timezone="Europe/Berlin") == (
        "2013-07-02 2013-07-02T00:00:00+02:00"
    )


def test_without_neighbours_next_and_previous_are_the_run_itself() -> None:
    assert shown("{{ next_ds }} {{ prev_ds }}", next_start=None, previous_start=None) == "2013-01-31 2013-01-31"


def test_without_an_earlier_success_its_names_are_none() -> None:
    assert shown("{{ prev_start_date_success is none }}", previous_success=None) == "True"


def test_conf_sets_params_that_exist_and_adds_none() -> None:
    conf = {"city": "Newark", "other": 1}
    assert shown("{{ params }}", conf=conf) == "{'top': 5, 'city': 'Newark'}"
    assert shown("{{ dag_run.conf.other }}", conf=conf, run_type=RunType.MANUAL) == "1"


def test_results_are_pulled_by_task_once_each() -> None:
    asked: list[str] = []

    class Results(dict[str, bytes]):
        def get(self, key: str, default: bytes | None = None) -> bytes | None:
            asked.append(key)
            return super().get(key, default)

    results = Results(fetch=b'{"rows": [1, 2]}')
    text = "{{ ti.xcom_pull('fetch').rows }} {{ ti.xcom_pull(task_ids=['fetch', 'none'])[1] }}"
    assert shown(text, results) == "[1, 2] None"
    assert asked == ["fetch", "none"]
    assert shown("{{ ti.xcom_pull('none', default='nothing') }}", results) == "nothing"


def test_a_result_of_null_is_not_a_missing_one() -> None:
    assert shown("{{ ti.xcom_pull('fetch', default='nothing') }}", {"fetch": b"null"}) == "None"


def test_a_key_takes_a_part_of_a_result_that_is_an_object() -> None:
    results = {"fetch": b'{"rows": 3}', "name": b'"x"'}
    assert shown("{{ ti.xcom_pull('fetch', key='rows') }}", results) == "3"
    assert shown("{{ ti.xcom_pull(task_ids=['fetch', 'none'], key='rows', default=0) }}", results) == "[3, 0]"
    assert shown("{{ ti.xcom_pull('fetch', key='columns', default='none') }}", results) == "none"
    with pytest.raises(RenderError, match=r"no key 'rows'.*'name' is no object"):
        shown("{{ ti.xcom_pull('name', key='rows') }}", results)


def test_instances_of_mapped_tasks_are_pulled_by_their_index() -> None:
    def result(key: TaskKey) -> bytes:
        return f'{{"at": "{key.task_id}[{key.map_index}]"}}'.encode()

    names = build_context(facts(), result)
    assert render_field("x", "{{ ti.xcom_pull('a', map_indexes=2).at }}", names) == "a[2]"
    assert render_field("x", "{{ ti.xcom_pull(['a', 'b'], 'at', map_indexes=[0, 1]) }}", names) == (
        "[['a[0]', 'a[1]'], ['b[0]', 'b[1]']]"
    )


def test_a_result_of_the_last_good_run_stands_in_where_that_is_asked_for() -> None:
    def result(key: TaskKey) -> bytes | None:
        return b'"old"' if key.run_id == "scheduled__2013-01-29T00:00:00+00:00" else None

    asked = "{{ ti.xcom_pull('rank', include_prior_dates=True, default='none') }}"
    assert render_field("x", asked, build_context(facts(), result)) == "old"
    assert render_field("x", asked, build_context(facts(previous_success=None), result)) == "none"
    assert render_field("x", "{{ ti.xcom_pull('rank') }}", build_context(facts(), result)) == "None"


def test_macros_of_the_dag_are_names_too_and_hide_none_of_ours() -> None:
    assert shown("{{ bucket }}/{{ ds }}", macros={"bucket": "s3://x", "ds": "never"}) == "s3://x/2013-01-31"


def test_an_unpinned_image_names_the_nearest() -> None:
    with pytest.raises(RenderError, match=r"'flight'.*did you mean 'flights'"):
        shown("{{ image('flight') }}")


def test_macros_are_pure_and_repeat_within_a_try() -> None:
    assert shown("{{ macros.ds_add(ds, -31) }}") == "2012-12-31"
    assert shown("{{ macros.ds_format(ds, '%Y-%m-%d', '%d.%m.%y') }}") == "31.01.13"
    assert shown("{{ macros.datetime(2013, 1, 1) + macros.timedelta(days=1) }}") == "2013-01-02 00:00:00"
    assert shown("{{ macros.json.loads('[1]')[0] }}{{ macros.json.dumps({'a': 1}) }}") == '1{"a": 1}'
    drawn = "{{ macros.uuid.uuid4() }} {{ macros.random() }}"
    assert shown(drawn) == shown(drawn)
    assert shown(drawn) != shown(drawn, try_number=3)
    assert shown("{{ macros.uuid.uuid4() == macros.uuid.uuid4() }}") == "False"


@pytest.mark.parametrize("call", ["now()", "utcnow()", "today()"])
def test_templates_cannot_read_the_clock(call: str) -> None:
    with pytest.raises(RenderError, match="logical_date"):
        shown(f"{{{{ macros.datetime.{call} }}}}")
