"""What the page about deployments and the files of deploy/ name is there, and fits together."""

import json
import re
import shlex
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from failsoft.dispatcher.plugins.discovery import EngineName
from failsoft.job_engine import JobState
from failsoft.ledger import Database
from failsoft.ledger.upgrade.run import upgrade
from failsoft.worker.configuration.engine_settings import variables_model
from failsoft.worker.configuration.settings import Settings
from failsoft.worker.configuration.unknown_variables import known_variables
from failsoft.worker.health.report import HealthReport
from tests.docs.page import commands_of
from tests.docs.test_guide import exists

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "deploy.md"
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "failsoft"
FILES = sorted(
    each for each in DEPLOY.rglob("*") if each.is_file() and each.parent.name != "__pycache__"
)
ENGINES = ("rq", "dramatiq", "celery", "kafka", "ledger", "nats", "inngest")
#: What engines called otherwise than their kind read.
REGIONS = {"eu": "rq", "us": "rq"}
_VARIABLE = re.compile(r"\b(?:FAILSOFT|REDIS|AMQP)_[A-Z_]+\b")
#: How much longer than its grace a worker may take, as `docs/explain/hand-over.md` has it.
MARGIN = timedelta(seconds=15)


def known() -> set[str]:
    engines = {**{each: each for each in ENGINES}, **REGIONS}
    models = [Settings, *(variables_model(EngineName(*each)) for each in engines.items())]
    return {name for model in models for name in known_variables(model)}


@pytest.mark.parametrize(
    "path", [PAGE, ROOT / "compose.yaml", *FILES], ids=lambda path: str(path.relative_to(ROOT))
)
def test_every_variable_is_a_setting(path: Path) -> None:
    named = set(_VARIABLE.findall(path.read_text()))

    assert named - known() == set()


@pytest.mark.parametrize("line", sorted(set(commands_of(PAGE))))
def test_every_command_exists(line: str) -> None:
    exists(line.partition("#")[0])


def commands_of_files() -> list[str]:
    found = {"page": PAGE.read_text()} | {str(each): each.read_text() for each in FILES}
    shell = [
        line.strip().strip("`")
        for text in found.values()
        for line in re.findall(r"(?:ExecStart=\S*/|command: )(failsoft .+)", text)
    ]
    arrays = [
        " ".join(json.loads(f"[{words}]"))
        for text in found.values()
        for words in re.findall(r"(?:CMD|args:) \[(\"failsoft\".+?)\]", text)
    ]
    return sorted({*shell, *arrays})


@pytest.mark.parametrize("command", commands_of_files())
def test_every_command_that_is_deployed_exists(command: str) -> None:
    exists(command.removeprefix("failsoft ").replace("$WORKER", "all"))


def test_the_commands_of_the_files_are_found() -> None:
    assert {"failsoft ledger upgrade", "failsoft worker all", "failsoft health"} <= set(
        commands_of_files()
    )


def test_every_path_of_the_pages_commands_exists() -> None:
    lines = re.findall(r"^\$ (.*)$", PAGE.read_text(), re.MULTILINE)
    words = [word for line in lines for word in shlex.split(line) if word.startswith("deploy/")]

    assert len(words) >= 5
    assert [word for word in words if not list(ROOT.glob(word))] == []


def test_every_value_that_the_page_sets_is_one_of_the_chart() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    names = re.findall(r"--set (\w+)", PAGE.read_text())

    assert len(names) >= 3
    assert set(names) <= set(schema["properties"])


def test_every_value_of_the_chart_has_a_schema_and_the_other_way_round() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = re.findall(r"^(\w+):", (CHART / "values.yaml").read_text(), re.MULTILINE)

    assert set(values) | {"global"} == set(schema["properties"])


def test_the_probes_are_those_of_the_server() -> None:
    probes = set(HealthReport([], timedelta(seconds=10)).probes)
    chart = (CHART / "templates" / "_helpers.tpl").read_text()

    assert set(re.findall(r"path: (/\w+z),", chart)) == probes
    assert set(re.findall(r"^\| `(/\w+z)`", PAGE.read_text(), re.MULTILINE)) == probes


def test_everything_waits_longer_than_the_grace_of_the_workers() -> None:
    least = (Settings.model_fields["shutdown_grace"].default + MARGIN).total_seconds()
    texts = [each.read_text() for each in (*FILES, ROOT / "compose.yaml")]
    waits = [
        int(seconds)
        for text in texts
        for seconds in re.findall(r"(?:TimeoutStopSec=|stop_grace_period: )(\d+)", text)
    ]

    assert len(waits) >= 4
    assert min(waits) >= least


def test_the_query_of_keda_is_understood_by_a_ledger(tmp_path: Path) -> None:
    chart = (CHART / "templates" / "_helpers.tpl").read_text()
    (query,) = re.findall(r"SELECT .*?\n.*$", chart, re.MULTILINE)
    values = {"{{ .queue }}": "default", "{{ .engine }}": "rq"}
    for name, value in values.items():
        query = query.replace(name, value)

    with closing(Database(f"sqlite:///{tmp_path}/ledger.db")) as database:
        upgrade(database)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        assert connection.execute(query).fetchall() == [(0,)]
    assert set(re.findall(r"'(offered|running)'", query)) <= set(JobState)
