"""Sensors, deadlines and caches as DAG files write them."""

from datetime import timedelta
from typing import Any

import pytest

from orchestrator import DAG, Cache, DockerOperator, DockerSensor, EmptyOperator, task
from orchestrator.authoring import to_spec
from orchestrator.errors import AuthoringError
from orchestrator.spec.caching import CachePolicy
from orchestrator.spec.dag import SensorSpec, TaskSpec


def sensor(**arguments: Any) -> TaskSpec:
    with DAG("d") as dag:
        DockerSensor(task_id="look", image="tools", command="look", **arguments)
    return to_spec(dag, "d.py").task("look")


def refusal(operator: type[Any], **arguments: Any) -> AuthoringError:
    with DAG("d"), pytest.raises(AuthoringError) as refused:
        operator(task_id="t", **arguments)
    return refused.value


class TestSensors:
    def test_one_that_says_nothing_looks_every_minute_for_a_week(self) -> None:
        task = sensor()
        assert task.sensor == SensorSpec()
        assert (task.operator, task.skip_on_exit_code) == ("DockerSensor", (99,))

    def test_it_says_how_it_looks(self) -> None:
        task = sensor(
            poke_interval=5,
            timeout=timedelta(hours=1),
            exponential_backoff=True,
            max_wait=60,
            soft_fail=True,
            not_ready_exit_codes=[3, 75],
        )
        assert task.sensor == SensorSpec(
            poke_interval=timedelta(seconds=5),
            timeout=timedelta(hours=1),
            exponential_backoff=True,
            max_wait=timedelta(minutes=1),
            soft_fail=True,
            not_ready_exit_codes=(3, 75),
        )

    def test_default_args_may_say_it_for_all(self) -> None:
        with DAG("d", default_args={"poke_interval": 7, "timeout": 8}) as dag:
            DockerSensor(task_id="look")
            DockerOperator(task_id="work")
        spec = to_spec(dag, "d.py")
        assert spec.task("look").sensor == SensorSpec(
            poke_interval=timedelta(seconds=7), timeout=timedelta(seconds=8)
        )
        assert spec.task("work").sensor is None

    def test_its_mode_has_no_effect_and_that_is_told(self) -> None:
        with DAG("d") as dag:
            DockerSensor(task_id="look", mode="poke")
        (note,) = dag.graph.notes
        assert note.text.startswith("DockerSensor 'look': mode has no effect: ")

    @pytest.mark.parametrize(("code", "means"), [(0, "that it is there"), (99, "skip")])
    def test_a_code_cannot_mean_two_things(self, code: int, means: str) -> None:
        refused = refusal(DockerSensor, not_ready_exit_codes=[75, code])
        assert refused.message == f"DockerSensor 't': exit code {code} cannot mean not yet: it means {means}"

    @pytest.mark.parametrize("name", ["poke_interval", "timeout", "max_wait"])
    def test_durations_are_more_than_nothing(self, name: str) -> None:
        assert refusal(DockerSensor, **{name: 0}).rule == "bad_argument"

    def test_it_has_no_cache(self) -> None:
        assert refusal(DockerSensor, cache=True).rule == "unknown_argument"

    def test_a_function_says_by_what_it_returns(self) -> None:
        @task.sensor(poke_interval=1, not_ready_exit_codes=3)
        def there() -> bool:
            return True

        with DAG("d") as dag:
            there()
        found = to_spec(dag, "d.py").task("there")
        assert found.function is not None
        assert found.function.not_ready_exit_code == 75
        assert found.sensor == SensorSpec(poke_interval=timedelta(seconds=1), not_ready_exit_codes=(3, 75))


class TestDeadlines:
    @pytest.mark.parametrize("name", ["deadline", "sla"])
    def test_dags_and_tasks_of_every_kind_have_them(self, name: str) -> None:
        with DAG("d", **{name: timedelta(hours=2)}) as dag:  # type: ignore[arg-type]  # one name of two
            DockerOperator(task_id="work", **{name: 60})  # type: ignore[arg-type, misc]  # see above
            EmptyOperator(task_id="done", **{name: 90})  # type: ignore[arg-type, misc]  # see above
        spec = to_spec(dag, "d.py")
        assert spec.deadline == timedelta(hours=2)
        assert (spec.task("work").deadline, spec.task("done").deadline) == (
            timedelta(minutes=1),
            timedelta(seconds=90),
        )

    def test_one_name_is_enough(self) -> None:
        assert "say the same thing" in refusal(DockerOperator, deadline=1, sla=2).message


class TestCaches:
    def cached(self, written: Any) -> CachePolicy | None:
        with DAG("d") as dag:
            DockerOperator(task_id="work", cache=written)
        container = to_spec(dag, "d.py").task("work").container
        assert container is not None
        return container.cache

    @pytest.mark.parametrize(("written", "policy"), [(True, CachePolicy()), (False, None), (None, None)])
    def test_it_is_on_or_off(self, written: bool | None, policy: CachePolicy | None) -> None:  # noqa: FBT001 - a case
        assert self.cached(written) == policy

    def test_it_says_what_counts_besides(self) -> None:
        written = Cache(key_extra="{{ ds }}", max_age=3600, inputs=["data/*.csv"])
        assert self.cached(written) == CachePolicy(
            key_extra="{{ ds }}", max_age=timedelta(hours=1), inputs=("data/*.csv",)
        )

    def test_a_result_may_count(self) -> None:
        with DAG("d") as dag:
            first = DockerOperator(task_id="first")
            DockerOperator(task_id="work", cache=Cache(key_extra=f"{first.output}"))
        assert to_spec(dag, "d.py").task("work").upstream == ("first",)

    @pytest.mark.parametrize("written", [3, "yes", Cache(inputs="a"), Cache(inputs=[""]), Cache(max_age=0)])
    def test_what_makes_no_sense_is_refused(self, written: Any) -> None:
        assert refusal(DockerOperator, cache=written).rule == "bad_argument"
