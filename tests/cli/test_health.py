"""What a container's health check and its first start ask of the command line; no engine is needed for it."""

import signal
from pathlib import Path

from cli_project import CliProject


def test_health_tells_whether_the_scheduler_answers(tmp_path: Path) -> None:
    project = CliProject(tmp_path, {"ORCHESTRATOR__ENGINE__ADDRESS": f"unix://{tmp_path}/none.sock"})
    assert project.run("health").code == 1
    with project.start("scheduler", "--upgrade") as scheduler:
        scheduler.wait_line("scheduler.running")
        assert project.run("health").code == 0
        scheduler.send(signal.SIGTERM)
        assert scheduler.end(limit=5) == 0
    assert project.run("health").code == 1


def test_without_upgrade_the_scheduler_wants_its_database_made(tmp_path: Path) -> None:
    said = CliProject(tmp_path).run("scheduler")
    assert said.code == 3
    assert "orchestrator db upgrade" in said.stderr
