"""What a person can do about each reason: one sentence a code. Commands in it are whole and can be copied."""

from collections.abc import Mapping
from shlex import quote

from orchestrator.planning.explain import Question
from orchestrator.states import ReasonCode

_R = ReasonCode
_LOG = "`orchestrator tasks logs {dag} {task}{run}`"
_TASK = "`orchestrator tasks show {dag} {task}{run}`"
_RUNS = "`orchestrator runs list {dag} --state running`"
_DOCTOR = "`orchestrator doctor`"
_LIMIT = "wait for a slot, or raise the limit"

#: Code -> what to do next. `{dag}`, `{run}` (with a space before it) and `{task}` are what was
#: asked about.
NEXT_STEPS: Mapping[ReasonCode, str] = {
    # why a try ended
    _R.EXIT_CODE: f"read what it wrote: {_LOG}",
    _R.OOM_KILLED: "give it a greater mem_limit, or less to hold at one time; "
    'mem_limit="{{{{ 512 * ti.try_number }}}}m" grows with each retry',
    _R.SIGNAL: f"read what it wrote ({_LOG}); where nobody sent the signal, the machine may lack memory: {_DOCTOR}",
    _R.TIMEOUT: f"see in its log where it stood ({_LOG}); if it may take that long, raise the limit",
    _R.START_TIMEOUT: f"see what held it up ({_TASK}) and whether the engine is well ({_DOCTOR})",
    _R.IDLE_TIMEOUT: f"see in its log where it stood ({_LOG}); if it may be silent that long, raise idle_timeout",
    _R.SENSOR_TIMEOUT: f"see what it saw ({_LOG}); if it may take that long, raise its timeout",
    _R.WAIT_TIMEOUT: "see why it did not come in time; if it may take that long, raise its timeout; to wait "
    "again: `orchestrator tasks clear {dag} {task}{run}`",
    _R.TRIGGERED_RUN: "see to the run that it made: the line above names it (`orchestrator runs list` shows all)",
    _R.RUN_EXISTS: "give the runs ids of their own, or say reset_dag_run=True or skip_when_already_exists=True",
    _R.RUN_REFUSED: "correct what the line above names, in the DAG file or in what its templates come to",
    _R.DAG_MISSING: "correct the name in the DAG file, or add the DAG: `orchestrator dags list` shows all",
    _R.NEVER_MEETS: "have both DAGs share logical dates, or say the difference with execution_delta or "
    "execution_date_fn",
    _R.REJECTED: "nothing: somebody decided against it; to have it asked again: `orchestrator tasks clear {dag} "
    "{task}{run}`",
    _R.NOBODY_TO_ASK: "test it on a terminal, or with `orchestrator dags test --approve {dag}`",
    _R.IMAGE_MISSING: "correct the name in the DAG file, or build it from task-images/<name>/; "
    "`orchestrator images list` shows those that can be built",
    _R.IMAGE_PULL_FAILED: "correct the name where a task image was meant: the line above names the nearest, "
    f"`orchestrator images list` all; else see whether the engine's machine can reach the registry: {_DOCTOR}",
    _R.IMAGE_BUILD_FAILED: "mend its Dockerfile and try it alone: `orchestrator images build <name>`",
    _R.PLATFORM_MISMATCH: "use an image for this engine's architecture, or an engine that emulates the platform",
    _R.CREATE_REFUSED: f"read the engine's words above; what was asked of it: {_TASK}",
    _R.MOUNT_MISSING: "make the folder on the engine's machine, or correct the mount's source in the DAG file",
    _R.NETWORK_MISSING: "make it (`docker network create <name>`), or correct network_mode in the DAG file",
    _R.COMMAND_MISSING: "correct the command in the DAG file, or install the program in the image",
    _R.RENDER_ERROR: "mend the template and try it: `orchestrator tasks render {dag} {task}`",
    _R.POLICY: "do without it, or have whoever runs this site write the line above into policy.toml",
    _R.SECRET_MISSING: "correct its name, or give it a value where the line above says that it was looked for",
    _R.SECRET_INVALID: "correct the secret's value where the line above says that it was found",
    _R.RESULT_INVALID: f"have the task write JSON to $ORCHESTRATOR_RESULT; its log: {_LOG}",
    _R.CHOICE_INVALID: "have it write one of the ids that the line above names, or put the task that it chose "
    f"right after it; its log: {_LOG}",
    _R.RESULT_TOO_LARGE: "hand on a path and write the data to a mount, or raise the setting tasks.result_limit",
    _R.MAP_TOO_LONG: "hand on fewer elements, or raise the limit that the line above names",
    _R.NO_ELEMENTS: "nothing: what it is expanded over was empty",
    _R.PROMOTION_FAILED: "clear the way in the data root; what the try wrote is in its .orchestrator-stages, "
    "for you to move or remove",
    _R.KILLED_BY: "if it shall run after all: `orchestrator dags trigger {dag}`",
    _R.BRANCH: "nothing: the branch chose another way",
    _R.SHORT_CIRCUIT: "nothing: the short circuit went no further",
    _R.NOT_LATEST: "nothing: only the newest interval passes",
    _R.OUTSIDE_DATES: "nothing, or change the task's start_date or end_date; a backfill runs it whatever these say",
    _R.FAIL_FAST: "see to the task that failed first: `orchestrator runs explain {dag}{run}`",
    _R.CACHED: "nothing: an earlier result is used again; another key_extra in its Cache has it run",
    _R.SKIP_EXIT_CODE: "nothing: its code asked to be skipped (skip_on_exit_code)",
    _R.ENGINE_LOST: "nothing, if it is tried again; rerun_lost=True says that a task may be run again after a "
    "loss; live-restore in the engine's daemon.json has containers outlive it",
    _R.CONTAINER_LOST: "find out who removes containers on the engine's machine (`docker container prune`, cron?); "
    "rerun_lost=True says that a task may be run again after a loss",
    _R.STOPPED_EXTERNALLY: "find out who stops containers on the engine's machine (an engine without live-restore "
    "does, when it is stopped); to end a run, cancel it; rerun_lost=True says that a task may be run again after a "
    "loss",
    _R.MARKED_BY: "nothing, if that was meant; it can be run again by clearing it",
    _R.CLEARED: "nothing: it is run again",
    _R.UPSTREAM: "see to the tasks it waits for: `orchestrator runs explain {dag}{run}`",
    # why something waits
    _R.NO_SCHEDULER: "start one: `orchestrator up`",
    _R.ENGINE_TOO_SMALL: "lower cpus or mem_limit of the task, or use an engine that has as much",
    _R.FAILED_IN_ROW: "see why they did (`orchestrator runs list {dag}`), then: `orchestrator dags unpause {dag}`",
    _R.POOL_MISSING: "name a pool that is there and large enough (pool=, pool_slots=) in the DAG file",
    _R.ENGINE_DOWN: f"see whether it runs: {_DOCTOR}, with --fix it is started; the work then goes on by itself",
    _R.DATABASE_DOWN: "see that the database's server runs, or that its disk has room and is writable; the "
    "scheduler's log says more, and the work then goes on by itself",
    _R.IMAGE_BUILDING: "wait for the build; `orchestrator images list` shows what is built",
    _R.IMAGE_PULLING: "wait for the pull; it is given up after the task's pull_timeout",
    _R.RETRY_DELAY: f"wait for it; why the last try failed: {_LOG}",
    _R.NOT_READY: f"wait for its next look; what it saw so far: {_LOG}",
    _R.EXTERNAL: "wait for the other run, or have one: `orchestrator dags trigger OTHER_DAG`; to go on without it: "
    "`orchestrator tasks mark {dag} {task}{run} --as success`",
    _R.APPROVAL: "`orchestrator tasks approve {dag} {task}{run}`, with --reject to skip it",
    _R.DEPENDS_ON_PAST: "see to the run that the line above names; to go on without it, mark the task there: "
    "`orchestrator tasks mark {dag} {task} RUN --as success`",
    _R.PARALLELISM: f"{_LIMIT}: the setting scheduling.parallelism",
    _R.POOL_FULL: f"{_LIMIT}: the slots of the pool",
    _R.MAX_ACTIVE_TASKS: f"{_LIMIT}: max_active_tasks of the DAG",
    _R.MAX_ACTIVE_TIS: f"{_LIMIT}: max_active_tis_per_dag or max_active_tis_per_dagrun of the task",
    _R.CONCURRENCY_KEY: "wait for the task that has the key, or give this one another concurrency_key",
    _R.ENGINE_FULL: "wait for a task to end, or lower cpus or mem_limit of this one",
    _R.MAX_ACTIVE_RUNS: f"wait for the runs before it ({_RUNS}), or raise max_active_runs of the DAG",
    _R.PREPARING: "wait a moment; if it stays so, the scheduler's log says why",
    _R.SECRET_UNAVAILABLE: "see that the place it is read from can be reached; the work then goes on by itself",
    _R.PAUSED: "`orchestrator dags unpause {dag}`",
    _R.HELD: "`orchestrator dags unpause {dag}`",
    _R.DAG_INACTIVE: "put the file back, or see what became of it: `orchestrator dags check`",
    _R.ASSETS: "wait for the tasks that produce them, or tell of an update: `orchestrator assets emit <name>`",
    _R.NOT_DUE: "wait for it, or have a run now: `orchestrator dags trigger {dag}`",
    _R.UNSCHEDULED: "`orchestrator dags trigger {dag}`",
    _R.OUTSIDE_SCHEDULE: "change schedule or end_date in the DAG file, or: `orchestrator dags trigger {dag}`",
}


#: Of a run in the foreground nothing is kept to be asked for: its log was printed, its tasks can be rendered.
_OF_TEST = {
    _LOG: "its lines above",
    _TASK: "`orchestrator tasks render {dag} {task}`",
    " dags trigger ": " dags test ",
}


def next_step_of_test(code: ReasonCode, about: Question) -> str:
    """What to do about the reason of a task in a run in the foreground."""
    step = NEXT_STEPS[code]
    for of_run, of_test in _OF_TEST.items():
        step = step.replace(of_run, of_test)
    return step.format(dag=about.dag_id, run="", task=_shown(about))


def next_step(code: ReasonCode, about: Question) -> str:
    """What to do about it. A run or task that is not known is left to be named by who reads."""
    run = f" {about.run_id}" if about.run_id else ""
    return NEXT_STEPS.get(code, "").format(dag=about.dag_id, run=run, task=_shown(about))


def with_run_again(step: str, about: Question) -> str:
    """What to do about a failure in a run that has ended: this, and last of all to have the run go on where it
    failed, unless the step itself says how."""
    if not step or not about.run_id or " tasks clear " in step:
        return step
    again = f"`orchestrator runs clear {about.dag_id} {about.run_id} --only-failed`"
    return f"{step}; then, to run again what failed: {again}"


def _shown(about: Question) -> str:
    """The task as a shell takes its name."""
    return "<task>" if about.instance is None else quote(about.instance)
