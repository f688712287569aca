"""What the acceptance tests do with copies of the example project."""

from typing import NamedTuple

from cli_project import LONG, CliProject, Said, Started


class TestedDays:
    """`dags test nyc_flights` for days, each once: how the command ended, and the files it left."""

    __test__ = False

    def __init__(self, project: CliProject) -> None:
        self.project = project
        self._known: dict[str, tuple[Said, dict[str, bytes]]] = {}

    def __call__(self, day: str) -> tuple[Said, dict[str, bytes]]:
        if day not in self._known:
            self.project.clear()
            said = self.project.run("dags", "test", "nyc_flights", day, limit=LONG)
            self._known[day] = said, self.project.files()
        return self._known[day]


class RunningProject(NamedTuple):
    """A copy of the example project that is up."""

    project: CliProject
    up: Started
