"""Task images on a real engine: what is built, when, and what is said when it cannot be."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from orchestrator.engines.docker.address import Address
from orchestrator.errors import EngineUnavailableError, ImageError
from orchestrator.images.builder import HASH_LABEL, NAME_LABEL
from orchestrator.images.calls import ImageApi
from orchestrator.planning.rows import Reason
from orchestrator.spec.dag import PullPolicy

pytestmark = pytest.mark.engine

TINY = "FROM scratch\nCOPY a /a\n"


def inspect(api: ImageApi, reference: str) -> dict[str, Any]:
    found = api.find(reference)
    assert found is not None
    return found


def test_a_task_image_is_built_when_it_is_needed_and_not_again(workshop: Any) -> None:
    name = workshop.write("tiny", TINY + 'USER 7\nENTRYPOINT ["/a"]\nVOLUME /v\n', a="1")
    images = workshop.images()
    pinned = images.pin([name])[name]
    heard: list[Reason] = []
    facts = images.ensure(pinned, progress=heard.append)
    assert (facts.user, facts.entrypoint, facts.command, facts.volumes) == ("7", ("/a",), None, ("/v",))
    assert not facts.world_writable_tmp
    assert any(f"building {name}, step 2 of " in said.text for said in heard)
    found = inspect(workshop.api, pinned)
    assert found["Id"] == facts.id
    assert found["Config"]["Labels"][NAME_LABEL] == name
    assert found["Config"]["Labels"][HASH_LABEL] == pinned.rsplit(":", 1)[1]
    assert images.ensure(pinned) == facts
    (record,) = workshop.records
    assert (record.name, record.tag, record.image_id) == (name, pinned, facts.id)
    log = (workshop.folder / ".orchestrator" / record.log).read_text()
    assert log.startswith("Step 1/9 : FROM scratch")
    assert f"Successfully tagged {pinned}" in log


def test_no_intermediate_container_and_no_probe_stays(workshop: Any) -> None:
    name = workshop.write("tiny", TINY, a="1")
    images = workshop.images()
    facts = images.ensure(images.pin([name])[name])
    assert workshop.api.client().containers(all=True, filters={"ancestor": facts.id}) == []


def test_changed_content_is_another_image_and_the_old_pin_still_means_the_old_one(workshop: Any) -> None:
    name = workshop.write("tiny", TINY, a="1")
    images = workshop.images()
    old = images.pin([name])[name]
    old_facts = images.ensure(old)
    workshop.write("tiny", TINY, a="2")
    new = images.pin([name])[name]
    assert new != old
    assert images.ensure(old) == old_facts
    assert images.ensure(new).id != old_facts.id


def test_an_old_pin_that_was_never_built_is_not_built_from_new_content(workshop: Any) -> None:
    name = workshop.write("tiny", TINY, a="1")
    images = workshop.images()
    old = images.pin([name])[name]
    workshop.write("tiny", TINY, a="2")
    with pytest.raises(ImageError, match="no longer what it was made of") as caught:
        images.ensure(old)
    assert (caught.value.code, caught.value.wait) == ("image_missing", False)


def test_an_image_is_built_from_the_pinned_image_of_its_base(workshop: Any) -> None:
    base = workshop.write("base", TINY + "ENV FROM_BASE=yes\n", a="1")
    leaf = workshop.write("leaf", "FROM {base} AS first\nFROM first\nCOPY b /b\n", b="1")
    images = workshop.images()
    pins = images.pin([leaf, base])
    facts = images.ensure(pins[leaf])
    assert "FROM_BASE=yes" in inspect(workshop.api, facts.id)["Config"]["Env"]
    assert [record.name for record in workshop.records] == [base, leaf]
    assert inspect(workshop.api, pins[base])
    workshop.write("base", TINY, a="2")
    assert images.pin([leaf])[leaf] != pins[leaf]


def test_many_who_ask_at_one_time_cause_one_build(workshop: Any) -> None:
    name = workshop.write("tiny", TINY, a="1")
    images = workshop.images()
    pinned = images.pin([name])[name]
    together = threading.Barrier(8)

    def ask() -> str:
        together.wait()
        return images.ensure(pinned).id

    with ThreadPoolExecutor(8) as pool:
        ids = {each.result() for each in [pool.submit(ask) for _ in range(8)]}
    assert len(ids) == 1
    assert len(workshop.records) == 1


def test_a_failed_build_shows_its_last_lines_and_where_the_rest_is(workshop: Any, base_image: str) -> None:
    name = workshop.write("broken", f"FROM {base_image}\nRUN echo the reason is this; exit 3\n")
    images = workshop.images()
    with pytest.raises(ImageError, match="the reason is this") as caught:
        images.ensure(images.pin([name])[name])
    assert (caught.value.code, caught.value.wait) == ("image_build_failed", False)
    assert "returned a non-zero code: 3" in str(caught.value)
    (log,) = (workshop.folder / ".orchestrator/builds").iterdir()
    assert str(log) in caught.value.fix
    assert "the reason is this" in log.read_text()
    assert workshop.records == []
    containers = workshop.api.client().containers(all=True, filters={"status": "exited"})
    assert not [each for each in containers if "the reason is this" in each["Command"]]


def test_a_dockerfile_that_the_engine_does_not_understand_fails_with_its_words(workshop: Any) -> None:
    name = workshop.write("broken", "FROM scratch\nFETCH it\n")
    images = workshop.images()
    with pytest.raises(ImageError, match="unknown instruction: FETCH"):
        images.ensure(images.pin([name])[name])


def test_where_builds_are_forbidden_a_missing_image_says_what_to_do(workshop: Any) -> None:
    name = workshop.write("tiny", TINY, a="1")
    images = workshop.images(build="never")
    pinned = images.pin([name])[name]
    with pytest.raises(ImageError, match=r"images\.build is never") as caught:
        images.ensure(pinned)
    assert caught.value.code == "image_missing"
    assert f"orchestrator images build {name}" in caught.value.fix
    assert not images.build([name])[0].error
    assert images.ensure(pinned).id


def test_building_all_fails_only_what_needs_the_broken_one_and_tries_it_once(workshop: Any) -> None:
    good = workshop.write("good", TINY, a="1")
    bad = workshop.write("bad", "FROM scratch\nCOPY missing /a\n")
    leaf = workshop.write("leaf", "FROM {bad}\n")
    heard: list[tuple[str, str]] = []
    images = workshop.images(parallel_builds=3)
    outcomes = {
        outcome.name: outcome
        for outcome in images.build(progress=lambda name, reason: heard.append((name, reason.text)))
    }
    assert outcomes[good].record is not None
    assert "missing" in outcomes[bad].error
    assert outcomes[leaf].error == f"not built: its base {bad} could not be built"
    assert sum(name == bad and "step 1 of" in text for name, text in heard) == 1
    again = images.build([good])
    assert [(each.name, each.record, each.error) for each in again] == [(good, None, "")]


def test_the_list_tells_what_is_built_what_is_stale_and_what_is_broken(workshop: Any) -> None:
    built = workshop.write("built", TINY, a="1")
    stale = workshop.write("stale", TINY, a="1")
    missing = workshop.write("missing", TINY, a="1")
    broken = workshop.write("zbroken", "RUN true\n")
    images = workshop.images()
    images.build([built, stale])
    workshop.write("stale", TINY, a="23")
    lines = {line.name: line for line in images.status()}
    assert (lines[built].built, lines[built].stale, lines[built].size) == (True, False, 1)
    assert (lines[stale].built, lines[stale].stale, lines[stale].size) == (False, True, None)
    assert (lines[missing].built, lines[missing].stale) == (False, False)
    assert "no FROM line" in lines[broken].problem


def test_a_pin_made_before_its_base_came_means_the_image_built_when_it_had_come(workshop: Any) -> None:
    client = workshop.api.client()
    base = workshop.write("base", TINY, a="1")
    images = workshop.images()
    base_id = images.ensure(images.pin([base])[base]).id
    outside = f"{base}-outside"
    name = workshop.write("leaf", f"FROM {outside}:1\nCOPY a /b\n", a="1")
    early = images.pin([name])[name]
    client.tag(base_id, outside, "1")
    try:
        late = images.pin([name])[name]
        assert late != early
        facts = images.ensure(early)
        assert images.ensure(late) == facts
        workshop.write("leaf", f"FROM {outside}:1\nCOPY a /b\n", a="changed")
        assert images.ensure(early) == facts
    finally:
        client.remove_image(f"{outside}:1")


# --- images from elsewhere ----------------------------------------------------------------------------


def test_a_local_image_is_used_and_its_tmp_is_looked_at(workshop: Any, base_image: str) -> None:
    images = workshop.images()
    assert images.pin([base_image]) == {base_image: base_image}
    facts = images.ensure(base_image)
    assert facts.id == inspect(workshop.api, base_image)["Id"]
    assert facts.world_writable_tmp
    assert facts.architecture == workshop.api.client().version()["Arch"]
    assert images.ensure(facts.id) == facts


def test_an_image_that_may_not_be_pulled_is_missing(workshop: Any) -> None:
    with pytest.raises(ImageError, match="pull is never") as caught:
        workshop.images().ensure("nowhere.invalid/x:1", pull=PullPolicy.NEVER)
    assert (caught.value.code, caught.value.wait) == ("image_missing", False)


@pytest.mark.parametrize("pull", [PullPolicy.MISSING, PullPolicy.ALWAYS])
def test_a_registry_that_cannot_be_reached_is_worth_waiting_for(workshop: Any, pull: PullPolicy) -> None:
    with pytest.raises(ImageError, match="cannot be pulled now") as caught:
        workshop.images().ensure("nowhere.invalid/x:1", pull=pull)
    assert (caught.value.code, caught.value.wait) == ("image_pull_failed", True)


def test_a_base_that_cannot_be_pulled_names_the_repair(workshop: Any) -> None:
    with pytest.raises(ImageError, match="cannot be pulled now") as caught:
        workshop.images().ensure("nowhere.invalid/python:3.99-slim")
    assert "orchestrator doctor --fix" in caught.value.fix
    assert caught.value.wait


def test_a_name_that_no_image_can_have_is_missing(workshop: Any) -> None:
    with pytest.raises(ImageError, match="Not A Name") as caught:
        workshop.images().ensure("Not A Name")
    assert (caught.value.code, caught.value.wait) == ("image_missing", False)


def test_an_image_for_other_processors_is_refused_before_it_runs(workshop: Any) -> None:
    name = workshop.write("tiny", TINY, a="1")
    images = workshop.images()
    pinned = images.pin([name])[name]
    images.ensure(pinned)
    with pytest.raises(ImageError, match="not for s390x") as caught:
        images.ensure(pinned, platform="linux/s390x")
    assert caught.value.code == "platform_mismatch"


def test_the_offline_base_stands_in_for_a_python_that_is_not_here(workshop: Any) -> None:
    client = workshop.api.client()
    name = workshop.write("stand", TINY + "ENV STANDS=in\n", a="1")
    images = workshop.images()
    stand = images.ensure(images.pin([name])[name])
    client.tag(stand.id, "orchestrator/debian-python", "3.98")
    try:
        assert images.ensure("nowhere.invalid/python:3.98-slim") == stand
        leaf = workshop.write("leaf", "FROM nowhere.invalid/python:3.98-slim\nCOPY b /b\n", b="1")
        facts = images.ensure(images.pin([leaf])[leaf])
        assert "STANDS=in" in inspect(workshop.api, facts.id)["Config"]["Env"]
    finally:
        client.remove_image("orchestrator/debian-python:3.98")


# --- no engine ----------------------------------------------------------------------------------------


def test_without_an_engine_pins_are_made_and_everything_else_waits(workshop: Any) -> None:
    name = workshop.write("tiny", "FROM nowhere.invalid/x:1\n")
    here = workshop.images().pin([name])
    images = workshop.images(api=ImageApi(lambda: Address(url="unix:///nowhere/docker.sock")))
    assert images.pin([name]) == here
    with pytest.raises(EngineUnavailableError):
        images.ensure(here[name])
    with pytest.raises(EngineUnavailableError):
        images.ensure("x:1")
