"""The alerts: their rules do what their tests say, and each says what to do."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from failsoft.telemetry.catalogue import METRICS
from tests.metrics.promql import names_in

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "prometheus"
_RULE = re.compile(r"- alert: (\w+)\n\s+expr: '((?:[^']|'')*)'", re.ASCII)
_RUNBOOK = re.compile(r"runbook_url: (\S+)#(\S+)")
RULES = {
    name: text.replace("''", "'")
    for name, text in _RULE.findall((FOLDER / "alerts.yaml").read_text())
}


def promtool(*words: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    program = shutil.which("promtool")
    assert program, "expected promtool, got none; run tests/servers/install prometheus"
    return subprocess.run(
        (program, *words), input=given, capture_output=True, text=True, check=False, timeout=60
    )


def test_the_rules_are_rules() -> None:
    checked = promtool("check", "rules", str(FOLDER / "alerts.yaml"))

    assert checked.returncode == 0, checked.stderr
    assert f"{len(RULES)} rules found" in checked.stdout


def test_each_rule_fires_when_it_should_and_not_before() -> None:
    tested = promtool("test", "rules", str(FOLDER / "alerts_test.yaml"))

    assert tested.returncode == 0, tested.stdout + tested.stderr
    named = set(re.findall(r"alertname: (\w+)", (FOLDER / "alerts_test.yaml").read_text()))
    assert named == set(RULES)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_names_only_what_is_exposed(name: str) -> None:
    known = {metric.family for metric in METRICS.values()}

    assert names_in(RULES[name])
    assert names_in(RULES[name]) <= known


def test_each_rule_has_severity_summary_description_and_a_section_that_exists() -> None:
    text = (FOLDER / "alerts.yaml").read_text()
    for word in ("severity: ", "summary: ", "description: ", "runbook_url: "):
        assert text.count(word) == len(RULES)
    page = (ROOT / "docs" / "how-to" / "alerts.md").read_text()
    sections = {heading.lower() for heading in re.findall(r"^## (\w+)$", page, re.MULTILINE)}

    assert {path for path, _ in _RUNBOOK.findall(text)} == {"docs/how-to/alerts.md"}
    assert {anchor for _, anchor in _RUNBOOK.findall(text)} == sections
    assert sections == {name.lower() for name in RULES}
