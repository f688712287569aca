"""What the place where tasks run makes of a mount: where the engine is around us, or elsewhere."""

from collections.abc import Callable

import pytest

from orchestrator.errors import FinalizeError
from orchestrator.spec.container import ImageFacts, Mount, MountType
from orchestrator.spec.dag import ContainerTemplate
from orchestrator.spec.finalize import nothing_kept
from orchestrator.spec.placement import place


def placed(
    mount: Mount,
    *,
    engine_path: Callable[[str], str | None] = str,
    root_path: Callable[[str], str] = "/roots/{}".format,
) -> Mount:
    template = ContainerTemplate(image="tool", mounts=[mount])
    image = ImageFacts(id="sha256:1")
    placement = place(
        template,
        image=image,
        project="/project",
        engine_path=engine_path,
        root_path=root_path,
        kept=nothing_kept,
    )
    (made,) = placement.mounts
    return made


def root(name: str) -> Mount:
    return Mount(type=MountType.ROOT, source=name, target="/data")


def bind(source: str) -> Mount:
    return Mount(type=MountType.BIND, source=source, target="/data")


def test_a_root_is_a_bind_of_its_path_or_the_volume_that_it_is() -> None:
    at_path = placed(root("flights"))
    assert (at_path.type, at_path.source) == (MountType.BIND, "/roots/flights")
    volume = placed(root("flights"), root_path="orc-root-{}".format)
    assert (volume.type, volume.source) == (MountType.VOLUME, "orc-root-flights")


@pytest.mark.parametrize("source", ["dags/sql", "./dags/x/../sql"])
def test_a_relative_source_is_our_path_as_the_engine_finds_it(source: str) -> None:
    assert placed(bind(source), engine_path={"/project/dags/sql": "/srv/dags/sql"}.get).source == "/srv/dags/sql"


def test_an_absolute_source_is_the_engine_s_own() -> None:
    assert placed(bind("/srv/x"), engine_path=lambda _: None).source == "/srv/x"


def test_a_relative_source_that_only_the_scheduler_has_is_refused_with_the_fix() -> None:
    with pytest.raises(FinalizeError, match="/project/sql is inside the scheduler's container") as refused:
        placed(bind("sql"), engine_path=lambda _: None)
    assert "Mount.root" in refused.value.fix
