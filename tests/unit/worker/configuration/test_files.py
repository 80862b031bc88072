"""Settings that are read from files."""

from pathlib import Path

import pytest

from failsoft.job_engine.errors import ConfigurationError
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.configuration.unknown_variables import lookalikes
from tests.unit.worker.configuration.environment import forget_settings

URL = "postgresql://user:secret@host/base"


@pytest.fixture(autouse=True)
def env(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    forget_settings(monkeypatch, tmp_path)
    return monkeypatch


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(f"{URL}\n")
    return path


@pytest.mark.parametrize("variable", ["FAILSOFT_LEDGER_URL_FILE", "DATABASE_URL_FILE"])
def test_a_setting_is_read_from_a_file_without_its_last_line_end(
    env: pytest.MonkeyPatch, secret: Path, variable: str
) -> None:
    env.setenv(variable, str(secret))

    settings = load_settings()

    assert settings.ledger_url == URL
    (found,) = (each for each in settings.sources() if each.name == "ledger_url")
    assert (found.variable, found.source) == (variable, "environment")
    assert "secret" not in found.value
    assert list(lookalikes(type(settings), settings.engine_models())) == []


def test_a_setting_of_an_engine_is_read_from_a_file(
    env: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "redis").write_text("redis://:secret@host:6379/0\r\n")
    env.setenv("REDIS_URL_FILE", str(tmp_path / "redis"))

    settings = load_settings().of_engine("rq")

    assert settings.model_dump()["redis_url"] == "redis://:secret@host:6379/0"


def test_dotenv_names_files_too_and_the_environment_wins(
    env: pytest.MonkeyPatch, tmp_path: Path, secret: Path
) -> None:
    (tmp_path / ".env").write_text(f"FAILSOFT_LEDGER_URL_FILE={secret}\n")
    assert load_settings().ledger_url == URL

    env.setenv("FAILSOFT_LEDGER_URL", "postgresql://other/base")

    assert load_settings().ledger_url == "postgresql://other/base"


def test_a_prefixed_variable_wins_over_the_file_of_a_generic_one(
    env: pytest.MonkeyPatch, secret: Path
) -> None:
    env.setenv("FAILSOFT_LEDGER_URL", "postgresql://other/base")
    env.setenv("DATABASE_URL_FILE", str(secret))

    assert load_settings().ledger_url == "postgresql://other/base"


def test_a_value_in_a_file_is_checked_and_not_shown(env: pytest.MonkeyPatch, secret: Path) -> None:
    secret.write_text("mysql://user:secret@host/base")
    env.setenv("FAILSOFT_LEDGER_URL_FILE", str(secret))

    with pytest.raises(ConfigurationError) as caught:
        load_settings()

    assert str(caught.value).startswith("FAILSOFT_LEDGER_URL_FILE: expected ")
    assert "secret" not in str(caught.value)


def test_both_are_refused(env: pytest.MonkeyPatch, secret: Path) -> None:
    env.setenv("FAILSOFT_LEDGER_URL_FILE", str(secret))
    env.setenv("FAILSOFT_LEDGER_URL", URL)

    with pytest.raises(ConfigurationError, match=r"got both; leave one out$"):
        load_settings()


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "No such file or directory"), (b"\xff", "it is not UTF-8")]
)
def test_a_file_that_cannot_be_read_is_refused(
    env: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "absent"
    if content is not None:
        path.write_bytes(content)
    env.setenv("REDIS_URL_FILE", str(path))

    with pytest.raises(ConfigurationError) as caught:
        load_settings()

    assert str(caught.value) == (
        f"REDIS_URL_FILE: expected a file that can be read, got {path} ({reason})"
    )


def test_an_unknown_setting_is_refused_as_a_file_too(env: pytest.MonkeyPatch) -> None:
    env.setenv("FAILSOFT_LEDGR_URL_FILE", "/run/secret")

    with pytest.raises(ConfigurationError, match="did you mean that"):
        load_settings()
