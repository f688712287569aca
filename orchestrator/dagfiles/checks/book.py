"""Every rule of `dags check` by its name: how grave a finding is, what it says, and what helps. All that the parse
of a file, the checks of its DAGs and the look at all files together find is one of these. The table in
`dags/README.md` is made of them:

python -m orchestrator.dagfiles.checks.book dags/README.md
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from orchestrator.spec.dag import Problem, Severity

BEGIN, END = "<!-- rules: begin -->", "<!-- rules: end -->"
_ERROR, _WARNING = Severity.ERROR, Severity.WARNING


class Rule(NamedTuple):
    """One rule: `says` is what a finding means, `fix` what helps in general; a finding names its own."""

    name: str
    severity: Severity
    says: str
    fix: str


#: In the order in which they can strike: the file, what it writes, what that means, then doubts.
_RULES = (
    Rule("unreadable", _ERROR, "the file cannot be read", "let the scheduler's user read it"),
    Rule("syntax", _ERROR, "it is no Python", "correct the syntax"),
    Rule("import", _ERROR, "a module or a name is not there", "import it in the program that a task runs"),
    Rule("exception", _ERROR, "it raises an error, or ends the process", "make it run without"),
    Rule("environment", _ERROR, "it needs a variable that DAG files are not shown", "`[dags] parse_env`"),
    Rule("parse_timeout", _ERROR, "it runs longer than `[dags] parse_timeout`", "do this work in a task"),
    Rule("parse_memory", _ERROR, "it takes more memory than `[dags] parse_memory`", "do this work in a task"),
    Rule("parse_ended", _ERROR, "the process that parsed it ended", "take out what ends processes"),
    Rule("unknown_argument", _ERROR, "nothing takes an argument of this name", "use the nearest known one"),
    Rule("missing_argument", _ERROR, "an argument that has to be there is not", "write it"),
    Rule("bad_argument", _ERROR, "an argument's value cannot be", "write one that fits"),
    Rule("bad_id", _ERROR, "an id has characters that ids cannot have", "letters, digits and `._-`"),
    Rule("duplicate_id", _ERROR, "two tasks of a DAG, or two DAGs, have one id", "give one of them another"),
    Rule("bad_function", _ERROR, "a task's function uses what its container will not have", "import it inside"),
    Rule("naive_date", _ERROR, "a date has no time zone", "`tzinfo=UTC`"),
    Rule("bad_schedule", _ERROR, "a schedule has no points in time", "correct it"),
    Rule("bad_edge", _ERROR, "an edge joins what cannot be joined", "join tasks and groups of one DAG"),
    Rule("empty_group", _ERROR, "an edge joins a group without tasks", "put a task into it"),
    Rule("cycle", _ERROR, "tasks wait for each other; the path is named", "remove one of its edges"),
    Rule("outside_dag", _ERROR, "a task belongs to no DAG", "write it inside `with DAG(...)`"),
    Rule("template_file", _ERROR, "a `TemplateFile` cannot be read", "put it beside the DAG file"),
    Rule("template_syntax", _ERROR, "a template cannot be read", "correct it"),
    Rule("template_name", _ERROR, "a template uses a name that none has", "use the nearest known one"),
    Rule("element_name", _ERROR, "a template asks for an element of what is not mapped", "name what is expanded"),
    Rule("param", _ERROR, "a default does not fit its schema, or nobody would be asked", "give one that fits"),
    Rule("macro_name", _ERROR, "a macro has a name that every template has", "give it another"),
    Rule("result_schema", _ERROR, "no result could fit, or there is none", "correct the schema"),
    Rule("literal_secret", _ERROR, "a password, token or key stands in the file", "`secrets=[Secret(...)]`"),
    Rule("secret_in_command", _ERROR, "a secret would stand where everybody sees it", "`environment=`, `secrets=`"),
    Rule("policy", _ERROR, "it asks for what the site's `policy.toml` does not allow", "the line that would"),
    Rule("no_effect", _WARNING, "an argument is accepted and does nothing", "leave it out"),
    Rule("never_expanded", _WARNING, "a map that is begun with `.partial()` defines no task", "`.expand(...)`"),
    Rule("moving_start_date", _WARNING, "a start date is another one at every parse", "write a fixed date"),
    Rule("never_takes_part", _WARNING, "a task's dates leave it no run of its DAG", "correct the dates"),
    Rule("single_brace", _WARNING, "`{ds}` is plain text", "`{{ ds }}`"),
    Rule("shell_syntax", _WARNING, "a `command` has shell signs, and no shell reads it", "`script=`"),
    Rule("data_in_command", _WARNING, "whoever sets conf or results can add words or commands", "`environment=`"),
    Rule("path_not_mounted", _WARNING, "no mount covers a path of data among the arguments", "`mounts=[...]`"),
    Rule("image_tag", _WARNING, "an image has no tag, or `latest`, or its folder no Dockerfile", "name a version"),
    Rule("log_rotation", _WARNING, "the engine may throw away lines of the log", "leave it out"),
    Rule("pull_not_upstream", _WARNING, "it takes a result or file of a task that is not upstream", "add the edge"),
    Rule("output_not_kept", _WARNING, "it takes a file that the other task does not keep", "its `outputs=`"),
    Rule("join_below_branch", _WARNING, "an `all_success` join is skipped with the branch not chosen",
         "`none_failed_min_one_success`"),
    Rule("all_done_leaf", _WARNING, "a last task with `all_done` hides failures", "`.as_teardown()`"),
    Rule("network", _WARNING, "it goes to the network while it is parsed", "do this work in a task"),
    Rule("environment_read", _WARNING, "it asks for a variable that DAG files are not shown", "`[dags] parse_env`"),
    Rule("unknown_pool", _WARNING, "the deployment has no such pool", "`orchestrator pools set`"),
    Rule("unknown_dag", _WARNING, "it triggers or waits for a DAG or task that is not there", "name one that is"),
    Rule("unknown_asset", _WARNING, "it waits for an asset that no task updates", "`outlets=` of that task"),
)  # fmt: skip
BOOK: Mapping[str, Rule] = {rule.name: rule for rule in _RULES}


def finding(
    rule: str,
    text: str,
    fix: str,
    *,
    file: str,
    line: int | None = None,
    dag_id: str | None = None,
    task_id: str | None = None,
) -> Problem:
    """One finding, as grave as its rule; what the book does not have is an error."""
    severity = BOOK[rule].severity if rule in BOOK else Severity.ERROR
    return Problem(
        file=file,
        line=line or None,
        rule=rule,
        text=text,
        fix=fix,
        severity=severity,
        dag_id=dag_id,
        task_id=task_id,
    )


def table() -> str:
    """Markdown: a row for each rule."""
    rows = (f"| `{rule.name}` | {rule.severity} | {rule.says} | {rule.fix} |" for rule in BOOK.values())
    return "\n".join(["| rule | | what it found | what helps |", "|---|---|---|---|", *rows])


def renewed(text: str) -> str:
    """A document with the table between its two marks. ValueError where it has no such marks."""
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"there is no place between {BEGIN} and {END}")
    return f"{head}{BEGIN}\n\n{table()}\n\n{END}{tail}"


if __name__ == "__main__":
    document = Path(sys.argv[1])
    document.write_text(renewed(document.read_text()))
