"""Problems of DAG files in the forms that other programs show beside the code."""

import re
from collections.abc import Iterable
from xml.etree import ElementTree as ET

from orchestrator.spec.dag import Problem, Severity

#: What XML cannot say at all.
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def github(problem: Problem) -> str:
    """A workflow command, which GitHub shows as an annotation of that line."""
    place = f"file={_property(problem.file)},line={problem.line or 1}"
    fix = f" (fix: {problem.fix})" if problem.fix else ""
    return f"::{problem.severity} {place},title={_property(problem.rule)}::{_data(problem.text + fix)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def junit(problems: Iterable[Problem], files: Iterable[str]) -> str:
    """A test case for each file: errors are its failure, warnings its output."""
    found: dict[str, list[Problem]] = {file: [] for file in files}
    for problem in problems:
        found.setdefault(problem.file, []).append(problem)
    broken = sum(any(each.severity is Severity.ERROR for each in told) for told in found.values())
    suite = ET.Element("testsuite", name="dags check", tests=str(len(found)), failures=str(broken))
    for file, told in found.items():
        case = ET.SubElement(suite, "testcase", classname="dags check", name=_text(file))
        errors = [problem for problem in told if problem.severity is Severity.ERROR]
        warnings = [problem for problem in told if problem.severity is Severity.WARNING]
        if errors:
            first = {"type": errors[0].rule, "message": _text(errors[0].text)}
            ET.SubElement(case, "failure", first).text = _lines(errors)
        if warnings:
            ET.SubElement(case, "system-out").text = _lines(warnings)
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True)


def _lines(problems: list[Problem]) -> str:
    return "\n".join(_text(str(problem)) for problem in problems)


def _text(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)
