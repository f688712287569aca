"""All rules over one parsed DAG, in order."""

from collections.abc import Callable, Iterable, Iterator

from orchestrator.dagfiles.checks import arguments, commands, graph, secrets, templates
from orchestrator.dagfiles.checks.checked import Checked
from orchestrator.spec.dag import DagSpec, Problem

#: One function for each rule, of the rule's name; errors first.
_RULES: tuple[Callable[[Checked], Iterable[Problem]], ...] = (
    arguments.bad_schedule,
    templates.template_syntax,
    templates.template_name,
    templates.element_name,
    arguments.param,
    templates.macro_name,
    arguments.result_schema,
    secrets.literal_secret,
    secrets.secret_in_command,
    templates.single_brace,
    commands.shell_syntax,
    commands.data_in_command,
    commands.path_not_mounted,
    arguments.never_takes_part,
    arguments.image_tag,
    arguments.log_rotation,
    templates.pull_not_upstream,
    templates.output_not_kept,
    graph.join_below_branch,
    graph.all_done_leaf,
)


def check(
    dag: DagSpec, task_images: frozenset[str], bare_images: frozenset[str] = frozenset()
) -> Iterator[Problem]:
    """Everything that is wrong or doubtful about one DAG. `task_images` are the folders in `task-images/`, and
    `bare_images` those without a Dockerfile."""
    checked = Checked(dag, task_images, bare_images)
    for rule in _RULES:
        yield from rule(checked)
