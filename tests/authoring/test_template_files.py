"""Template files: where they are found, where they may stand, and what is said of one that cannot be had."""

from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from orchestrator import DAG, DockerOperator, Mount, TaskGroup, TemplateFile
from orchestrator.authoring import collecting, to_spec
from orchestrator.errors import AuthoringError
from orchestrator.spec.dag import ContainerTemplate, DagSpec, version_of


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with a DAG file that is being parsed."""
    (tmp_path / "dags" / "team").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with collecting(str(tmp_path / "dags" / "team" / "flows.py")):
        yield tmp_path


def write(place: Path, text: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(dedent(text))


def container(**arguments: object) -> ContainerTemplate:
    task = DockerOperator(task_id="a", **arguments)  # type: ignore[arg-type]  # as a mapping, types are not known
    assert task.spec.container is not None
    return task.spec.container


def test_its_text_may_stand_wherever_a_text_may(folder: Path) -> None:
    write(folder / "dags/team/q.sql", "select '{{ ds }}'\n")
    file, text = TemplateFile("q.sql"), "select '{{ ds }}'\n"
    with DAG("d"), TaskGroup("g", default_args={"working_dir": TemplateFile("q.sql")}):
        found = container(
            command=["psql", "-c", file],
            environment={"Q": file},
            inputs={"/q.sql": file},
            mounts=[Mount(source=file, target="/x", type="bind")],  # type: ignore[arg-type]  # a rare place
        )
    assert found.command == ["psql", "-c", text]
    assert (found.environment, found.inputs, found.working_dir) == ({"Q": text}, {"/q.sql": text}, text)
    assert found.mounts[0].source == text


def test_a_script_from_a_file_is_the_same_version_as_its_text(folder: Path) -> None:
    write(folder / "dags/team/run.sh", "echo {{ ds }}\n")

    def version(script: TemplateFile | str) -> str:
        with DAG("d") as dag:
            DockerOperator(task_id="a", script=script)
        spec: DagSpec = to_spec(dag, "team/flows.py")
        return version_of(spec)

    before = version(TemplateFile("run.sh"))
    with collecting(str(folder / "dags/team/flows.py")):
        assert version(TemplateFile("run.sh")) == before
    write(folder / "dags/team/run.sh", "echo other\n")
    with collecting(str(folder / "dags/team/flows.py")):
        assert version(TemplateFile("run.sh")) != before


def test_the_folder_of_the_dag_file_comes_first_then_the_searchpath_in_order(folder: Path) -> None:
    write(folder / "sql/one.sql", "in the project")
    write(folder / "dags/team/near/one.sql", "near")
    write(folder / "dags/team/near/two.sql", "near")
    write(folder / "dags/team/two.sql", "beside")
    write(folder / "far/three.sql", "far")
    with DAG("d", template_searchpath=["sql", Path("near"), str(folder / "far")]):
        commands = container(command=[TemplateFile(f"{name}.sql") for name in ("one", "two", "three")]).command
    assert commands == ["in the project", "beside", "far"]


def test_one_that_is_missing_is_told_with_every_place_that_was_looked_at(folder: Path) -> None:
    with DAG("d", template_searchpath="sql"), pytest.raises(AuthoringError) as refused:
        container(environment={"Q": TemplateFile("q.sql")})
    assert refused.value.rule == "template_file"
    assert "DockerOperator 'a': environment: there is no template file 'q.sql'" in refused.value.message
    for place in ("dags/team/q.sql", "dags/team/sql/q.sql", "sql/q.sql"):
        assert str(folder / place) in refused.value.message
    assert "template_searchpath" in refused.value.fix
    assert refused.value.line is not None


def test_one_that_is_no_text_or_no_template_s_size_is_refused(folder: Path) -> None:
    (folder / "dags/team/b.bin").write_bytes(b"\xff\xfe\x00")
    (folder / "dags/team/large.sql").write_text("-" * (1024 * 1024 + 1))
    with DAG("d"):
        for name, words in (("b.bin", "no UTF-8 text"), ("large.sql", "larger than the 1048576 B")):
            with pytest.raises(AuthoringError, match=words):
                container(script=TemplateFile(name))


def test_a_default_that_an_operator_does_not_take_is_not_read(folder: Path) -> None:
    with DAG("d", default_args={"command": TemplateFile("missing.sql")}):
        assert container(script="true").script == "true"


def test_a_searchpath_that_is_none_is_refused(folder: Path) -> None:
    with pytest.raises(AuthoringError, match="template_searchpath is 3"):
        DAG("d", template_searchpath=3)  # type: ignore[arg-type]  # as a user may err
