"""The page on notifications: its two examples say the same, and are read as it says."""

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from failsoft.job_engine.jobs.notifications.channels import CHANNELS
from failsoft.job_engine.policies.notifications import KINDS
from failsoft.worker.configuration.notifications import Notifications
from failsoft.worker.configuration.settings import load_settings
from tests.docs.page import commands_of
from tests.docs.test_guide import exists
from tests.unit.worker.configuration.environment import forget_settings

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "notifications.md"


def example(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert found
    return found.group(1)


@pytest.fixture(autouse=True)
def _no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_settings(monkeypatch, tmp_path)
    monkeypatch.setenv("FAILSOFT_WEBHOOK_SECRETS", json.dumps({"ops": "whsec_b3Bz"}))


def test_the_file_and_the_variable_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("failsoft.toml").write_text(example("toml"))
    by_file = load_settings().notify
    monkeypatch.setenv("FAILSOFT_NOTIFY", example("json"))
    by_variable = load_settings().notify

    assert isinstance(by_file, Notifications)
    assert by_file.rules == by_variable.rules
    assert by_file.channels == by_variable.channels
    assert by_file.rules[0].every == timedelta(minutes=10)
    assert not by_file.rules[1].digest


def test_every_kind_is_on_the_page() -> None:
    text = PAGE.read_text()

    assert [kind for kind in (*KINDS, *CHANNELS) if f"`{kind}`" not in text] == []


@pytest.mark.parametrize("line", sorted(set(commands_of(PAGE))))
def test_every_command_exists(line: str) -> None:
    exists(line)
