"""Rules over the graph: where branches meet, and what comes last."""

from collections.abc import Iterator

from orchestrator.dagfiles.checks.checked import Checked
from orchestrator.planning.rules import ParentCounts, Verdict, judge
from orchestrator.spec.dag import BranchChoice, Problem, TaskSpec
from orchestrator.states import TriggerRule


def join_below_branch(checked: Checked) -> Iterator[Problem]:
    """Each choice of one child is played: a join that is skipped though another way to it runs is told, once."""
    for branch in checked.dag.tasks:
        if isinstance(branch.choice, BranchChoice):
            told: dict[str, Problem] = {}
            for join, chosen, lost in _skipped_joins(checked, branch):
                text = f"where {branch.task_id!r} chooses {chosen!r}, {lost!r} is skipped and this join with it"
                fix = 'write trigger_rule="none_failed_min_one_success"'
                if lost not in told:
                    told.setdefault(join.task_id, checked.found("join_below_branch", join, text, fix))
            yield from told.values()


def all_done_leaf(checked: Checked) -> Iterator[Problem]:
    inner = {parent for task in checked.dag.tasks for parent in task.upstream}
    for task in checked.dag.tasks:
        hides = task.trigger_rule is TriggerRule.ALL_DONE and task.teardown is None
        if hides and task.upstream and task.task_id not in inner:
            yield checked.found(
                "all_done_leaf",
                task,
                "the run is a success whenever this last task is, whatever failed before it",
                "make it a teardown, .as_teardown(), or add a last task with the default trigger rule beside it",
            )


def _skipped_joins(checked: Checked, branch: TaskSpec) -> Iterator[tuple[TaskSpec, str, str]]:
    """Joins with what is chosen when they are skipped, and a parent of theirs that is skipped before them."""
    below = [task for task in checked.dag.tasks if branch.task_id in checked.upstream(task)]
    for chosen in below:
        if branch.task_id in chosen.upstream:
            for join, lost in _skipped_by(checked, branch, chosen, below):
                yield join, chosen.task_id, lost


def _skipped_by(
    checked: Checked, branch: TaskSpec, chosen: TaskSpec, below: list[TaskSpec]
) -> Iterator[tuple[TaskSpec, str]]:
    """With one child chosen: joins that are skipped though a parent of theirs below the branch runs."""
    skipped: set[str] = set()
    reached = {branch.task_id}
    for task in below:
        child = branch.task_id in task.upstream
        if child and task is not chosen and chosen.task_id not in checked.upstream(task):
            skipped.add(task.task_id)
            continue
        lost = [parent for parent in task.upstream if parent in skipped]
        total = len(task.upstream)
        counts = ParentCounts(total=total, success=total - len(lost), skipped=len(lost))
        if judge(task.trigger_rule, counts) is not Verdict.SKIPPED:
            reached.add(task.task_id)
            continue
        skipped.add(task.task_id)
        if task.trigger_rule is TriggerRule.ALL_SUCCESS and reached.intersection(task.upstream):
            yield task, lost[0]
