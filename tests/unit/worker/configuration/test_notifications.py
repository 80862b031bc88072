"""Channels and rules in the settings, and what is refused."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from failsoft.job_engine.errors import ConfigurationError
from failsoft.worker.configuration.settings import load_settings
from tests.unit.worker.configuration.environment import forget_settings

SLACK = {"kind": "slack", "url": "https://hooks.slack.com/services/hunter2"}
OPS = {"ops": SLACK}
TOML = """
[[notify]]
on = ["engine.*", "job.hold"]
to = "ops"
every = "90s"

[[notify]]
on = "job.fail"
job = "import_*"
to = "ops"
digest = false

[channels.ops]
kind = "slack"
url = "https://hooks.slack.com/services/hunter2"
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    forget_settings(monkeypatch, tmp_path)
    return tmp_path


def rule(**changes: Any) -> dict[str, Any]:
    return {"on": ["engine.*"], "to": "ops"} | changes


def refusal(monkeypatch: pytest.MonkeyPatch, notify: object) -> str:
    monkeypatch.setenv("FAILSOFT_NOTIFY", json.dumps(notify))
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)
    return str(caught.value)


def test_none_are_there_by_default() -> None:
    found = load_settings().notify

    assert (found.rules, dict(found.channels)) == ((), {})


def test_the_file_in_the_folder_says_who_is_told_of_what(folder: Path) -> None:
    (folder / "failsoft.toml").write_text(TOML)

    found = load_settings().notify

    first, second = found.rules
    assert (first.on, first.every, first.digest) == (
        ("engine.*", "job.hold"), timedelta(seconds=90), True,
    )  # fmt: skip
    assert (second.on, second.job, second.digest) == (("job.fail",), "import_*", False)
    assert found.channels["ops"].kind == "slack"
    assert "hunter2" not in str([each.value for each in load_settings().sources()])


def test_the_variable_takes_the_place_of_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "failsoft.toml").write_text(TOML)
    monkeypatch.setenv("FAILSOFT_NOTIFY", json.dumps({"notify": [rule()], "channels": OPS}))

    assert [each.on for each in load_settings().notify.rules] == [("engine.*",)]


@pytest.mark.parametrize(
    ("notify", "said"),
    [
        ({"notify": [rule(on=["engine.failed"])], "channels": OPS}, "engine.failed_over"),
        ({"notify": [rule(on=[])], "channels": OPS}, "expected kinds of notices"),
        ({"notify": [rule(to="opps")], "channels": OPS}, "(ops), got 'opps'; did you mean 'ops'?"),
        ({"notify": [rule(every="soon")], "channels": OPS}, "expected a duration like"),
        ({"notify": [rule(every="200h")], "channels": OPS}, "an `every` of at most 7 days"),
        ({"notify": [rule(digest="no")], "channels": OPS}, "a `digest` as True or False"),
        ({"notify": [rule(too="ops")], "channels": OPS}, "'too'; did you mean 'to'?"),
        ({"notify": [{"on": ["job.fail"]}], "channels": OPS}, "got none for to"),
        ({"channels": {"ops": {"kind": "slak", "url": "x"}}}, "did you mean 'slack'?"),
        ({"channels": {"ops": SLACK | {"url": "hunter2"}}}, "channel ops of the kind slack: url"),
        ({"channels": {"ops": SLACK | {"colour": "hunter2"}}}, "colour: Extra inputs"),
        (
            {"channels": {"ops": {"kind": "webhook", "url": "https://a.b/", "secret": "x"}}},
            "expected the secret of channel ops in FAILSOFT_WEBHOOK_SECRETS (none there), got 'x'",
        ),
        ({"channels": []}, "expected `channels` by their names"),
        ({"rules": []}, "expected a table (channels, notify), got 'rules'"),
        ([], "expected a JSON object"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_known(
    monkeypatch: pytest.MonkeyPatch, notify: object, said: str
) -> None:
    assert said in refusal(monkeypatch, notify)


def test_a_file_that_is_no_toml_is_refused(folder: Path) -> None:
    (folder / "failsoft.toml").write_text("[[notify]\n")

    with pytest.raises(ConfigurationError, match=r"expected failsoft\.toml to be TOML"):
        load_settings()
