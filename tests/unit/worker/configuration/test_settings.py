"""The settings: where they come from, what is refused and in which words, what is never shown."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel

from failsoft.dispatcher.plugins.discovery import installed, plugin
from failsoft.job_engine.errors import ConfigurationError
from failsoft.job_engine.values.redaction import MASK, redacted_url
from failsoft.worker.configuration.settings import Settings, ledger_folder, load_settings
from failsoft.worker.configuration.unknown_variables import lookalikes
from tests.unit.worker.configuration.environment import forget_settings


@pytest.fixture(autouse=True)
def env(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    forget_settings(monkeypatch, tmp_path)
    return monkeypatch


def setting(name: str) -> object:
    """Return a setting, or an engine's, by the name of its field."""
    settings = load_settings()
    engines = (settings.of_engine(each) for each in settings.engine_names)
    return next(getattr(each, name) for each in (settings, *engines) if hasattr(each, name))


WRONG = [
    ("USE_RQ", "perhaps", "true or false, got 'perhaps'"),
    ("FAILSOFT_USE_RQ", "perhaps", "true or false, got 'perhaps'"),
    ("REDIS_PORT", "many", "a whole number, got 'many'"),
    ("REDIS_PORT", "65536", "a number of at most 65535, got '65536'"),
    ("SMTP_PORT", "0", "a number of at least 1, got '0'"),
    ("SMTP_TLS", "maybe", "'none', 'starttls' or 'tls', got 'maybe'"),
    ("FAILSOFT_LEASE", "5", "a duration like 500ms, 25s, 10m or 1h30m, got '5'"),
    ("FAILSOFT_LEASE", "", "a duration like 500ms, 25s, 10m or 1h30m, got ''"),
    ("FAILSOFT_LEASE", "-3s", "a duration like 500ms, 25s, 10m or 1h30m, got '-3s'"),
    ("FAILSOFT_LEASE", "0s", "a duration above zero, got 0s"),
    ("FAILSOFT_PROBE_EVERY", "0ms", "a duration above zero, got 0s"),
    ("FAILSOFT_HEALTHY_PROBES", "0", "a number of at least 1, got '0'"),
    ("FAILSOFT_NAMESPACE", "No Good", "text like ^[a-z0-9-]{0,32}$, got 'No Good'"),
    ("FAILSOFT_ENGINES", " , ", "at least one engine, as in rq,dramatiq, got none"),
    ("FAILSOFT_HEALTH", "8081", "HOST:PORT, as 127.0.0.1:8081 or [::]:8081, got '8081'"),
    ("FAILSOFT_LOG_FORMAT", "xml", "'auto', 'console' or 'json', got 'xml'"),
    ("FAILSOFT_LOG_LEVEL", "LOUD", "'DEBUG', 'INFO', 'WARNING' or 'ERROR', got 'LOUD'"),
    ("FAILSOFT_WEBHOOK_ALLOW_PRIVATE", "so so", "true or false, got 'so so'"),
]


@pytest.mark.parametrize(("variable", "value", "expected"), WRONG)
def test_a_wrong_setting_names_the_variable_that_was_set_and_what_was_expected(
    env: pytest.MonkeyPatch, variable: str, value: str, expected: str
) -> None:
    env.setenv(variable, value)

    with pytest.raises(ConfigurationError) as caught:
        load_settings()

    assert str(caught.value) == f"{variable}: expected {expected}"


@pytest.mark.parametrize(
    ("variable", "value", "got"),
    [
        ("REDIS_URL", "redi://:hunter2@host", "one that begins with redi://"),
        ("FAILSOFT_REDIS_URL", "hunter2@host", "one without a scheme"),
        ("AMQP_URL", "http://me:hunter2@host", "one that begins with http://"),
        ("CLOUDAMQP_URL", "hunter2", "one without a scheme"),
        ("RABBITMQ_URL", "amq://me:hunter2@host", "one that begins with amq://"),
        ("FAILSOFT_WEBHOOK_SECRETS", '{"orders": hunter2}', "something else"),
        ("FAILSOFT_WEBHOOK_SECRETS", '["hunter2"]', "something else"),
    ],
)
def test_a_wrong_setting_that_may_hold_a_secret_is_not_repeated(
    env: pytest.MonkeyPatch, variable: str, value: str, got: str
) -> None:
    env.setenv(variable, value)

    with pytest.raises(ConfigurationError) as caught:
        load_settings()

    assert str(caught.value).startswith(f"{variable}: expected ")
    assert str(caught.value).endswith(f", got {got}")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_every_wrong_setting_is_named_at_once(env: pytest.MonkeyPatch) -> None:
    env.setenv("USE_RQ", "perhaps")
    env.setenv("FAILSOFT_LEASE", "soon")

    with pytest.raises(ConfigurationError, match=r"^USE_RQ: .*; FAILSOFT_LEASE: .*"):
        load_settings()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("1.5s", timedelta(seconds=1.5)),
        (" 25s ", timedelta(seconds=25)),
        ("10m", timedelta(minutes=10)),
        ("1h30m", timedelta(hours=1, minutes=30)),
        ("1h0m1s1ms", timedelta(hours=1, seconds=1, milliseconds=1)),
    ],
)
def test_durations_carry_their_units(
    env: pytest.MonkeyPatch, text: str, expected: timedelta
) -> None:
    env.setenv("FAILSOFT_LEASE", text)

    assert load_settings().lease == expected


def test_a_ramp_may_take_no_time(env: pytest.MonkeyPatch) -> None:
    env.setenv("FAILSOFT_RAMP", "0s")

    assert load_settings().ramp == timedelta(0)


ALIASES = [
    ("amqp_url", ["FAILSOFT_AMQP_URL", "AMQP_URL", "CLOUDAMQP_URL", "RABBITMQ_URL"], "amqp://"),
    ("redis_url", ["FAILSOFT_REDIS_URL", "REDIS_URL"], "redis://"),
    ("ledger_url", ["FAILSOFT_LEDGER_URL", "DATABASE_URL"], "postgresql://"),
]


@pytest.mark.parametrize(("field", "variables", "scheme"), ALIASES)
def test_the_first_alias_that_is_set_wins(
    env: pytest.MonkeyPatch, field: str, variables: list[str], scheme: str
) -> None:
    for variable in reversed(variables):
        env.setenv(variable, scheme + variable.lower())

        assert setting(field) == scheme + variable.lower()


def test_an_argument_beats_the_environment_which_beats_the_file(
    env: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines = "FAILSOFT_LEASE=3s\nREDIS_URL=redis://file\nNO_SUCH=1\n"
    (tmp_path / ".env").write_text(lines)
    env.setenv("REDIS_URL", "redis://environment")

    settings = load_settings(use_rq=False)

    assert settings.lease == timedelta(seconds=3)
    assert setting("redis_url") == "redis://environment"
    assert not settings.use_rq
    sources = {each.name: (each.variable, each.source) for each in settings.sources()}
    assert sources["lease"] == ("FAILSOFT_LEASE", ".env")
    assert sources["redis_url"] == ("REDIS_URL", "environment")
    assert sources["amqp_url"] == ("FAILSOFT_AMQP_URL", "default")


MISSPELLED = [
    ("FAILSOFT_DISPATCH_BUGDET", "got one like FAILSOFT_DISPATCH_BUDGET: did you mean that?"),
    ("FAILSOFT_DATABASE_URL", "got one like DATABASE_URL: did you mean that?"),
    ("failsoft_nam_espace", "got one like FAILSOFT_NAMESPACE: did you mean that?"),
    ("FAILSOFT_ANYTHING_ELSE", "got one that there is not"),
]


@pytest.mark.parametrize(("variable", "got"), MISSPELLED)
def test_a_setting_that_there_is_not_is_refused(
    env: pytest.MonkeyPatch, tmp_path: Path, variable: str, got: str
) -> None:
    expected = f"{variable.upper()}: expected the name of a setting, {got}"
    env.setenv(variable, "secret")
    assert refused() == expected

    env.delenv(variable)
    (tmp_path / ".env").write_text(f"{variable}=secret\nSHOP_SETTING=1\n")
    assert refused() == expected


def test_the_settings_of_an_engine_that_is_not_in_use_stay_where_they_are(
    env: pytest.MonkeyPatch,
) -> None:
    env.setenv("FAILSOFT_ENGINES", "dramatiq")
    env.setenv("FAILSOFT_REDIS_URL", "redis://cache")
    env.setenv("FAILSOFT_NATS_SERVERS", "nats://broker")

    assert load_settings().engine_names == ("dramatiq",)


def refused() -> str:
    with pytest.raises(ConfigurationError) as error:
        load_settings()
    return str(error.value)


def test_every_setting_may_be_set_by_its_own_name(env: pytest.MonkeyPatch) -> None:
    env.setenv("FAILSOFT_REDIS_HOST", "cache")

    settings = load_settings()

    assert setting("redis_host") == "cache"
    assert ("FAILSOFT_REDIS_HOST", "environment") in {
        (each.variable, each.source) for each in settings.sources()
    }


@pytest.mark.parametrize("variable", ["REDIS_PORT", "FAILSOFT_REDIS_PORT"])
def test_a_port_that_kubernetes_sets_is_none_of_ours(
    env: pytest.MonkeyPatch, variable: str
) -> None:
    env.setenv(variable, "tcp://10.0.0.1:6379")

    assert load_settings().of_engine("rq").url == "redis://localhost:6379/0"


def test_wrong_names_and_wrong_values_are_reported_at_once(env: pytest.MonkeyPatch) -> None:
    env.setenv("FAILSOFT_LEESE", "1s")
    env.setenv("FAILSOFT_RAMP", "soon")

    with pytest.raises(ConfigurationError, match=r"FAILSOFT_LEESE: .*; FAILSOFT_RAMP: "):
        load_settings()


@pytest.mark.parametrize(
    "variable",
    [
        *("FAILSOFT_SERVICE_HOST", "FAILSOFT_SERVICE_PORT", "FAILSOFT_SERVICE_PORT_HTTP"),
        *("FAILSOFT_PORT", "FAILSOFT_REDIS_PORT", "FAILSOFT_REDIS_PORT_6379_TCP"),
        *("FAILSOFT_PORT_80_TCP_ADDR", "FAILSOFT_PORT_80_TCP_PROTO", "FAILSOFT_PORT_80_UDP"),
    ],
)
def test_what_kubernetes_sets_for_a_service_of_our_name_is_no_setting(
    env: pytest.MonkeyPatch, variable: str
) -> None:
    env.setenv(variable, "tcp://10.0.0.1:80")

    load_settings()


def test_a_variable_like_one_of_others_that_is_not_set_is_reported(env: pytest.MonkeyPatch) -> None:
    env.setenv("REDIS_ULR", "redis://host")
    env.setenv("DATABASE_URI", "postgresql://host/db")
    env.setenv("HOSTNAME", "web-1")
    assert list(lookalikes(Settings, load_settings().engine_models())) == [
        ("DATABASE_URI", "DATABASE_URL"),
        ("REDIS_ULR", "REDIS_URL"),
    ]

    env.setenv("REDIS_URL", "redis://host")
    env.setenv("DATABASE_URL", "postgresql://host/db")

    assert list(lookalikes(Settings, load_settings().engine_models())) == []


@pytest.mark.parametrize("variable", ["FAILSOFT_LEDGER_URL", "DATABASE_URL"])
def test_a_database_that_is_no_ledgers_is_refused_by_its_variable(
    env: pytest.MonkeyPatch, variable: str
) -> None:
    env.setenv(variable, "mysql+aiomysql://me:hunter2@host/db")

    with pytest.raises(ConfigurationError, match=rf"^{variable}: .*got one that begins with mysql"):
        load_settings()


def test_redis_may_be_named_by_host_and_port(env: pytest.MonkeyPatch) -> None:
    env.setenv("REDIS_HOST", "cache")
    env.setenv("REDIS_PORT", "6380")

    assert load_settings().of_engine("rq").url == "redis://cache:6380/0"


def test_names_are_separated_by_commas(env: pytest.MonkeyPatch) -> None:
    env.setenv("FAILSOFT_JOBS", " shop.jobs, ,shop.reports ")

    assert load_settings().jobs == ("shop.jobs", "shop.reports")


def test_no_secret_is_shown(env: pytest.MonkeyPatch) -> None:
    env.setenv("REDIS_URL", "redis://:hunter2@host/0")
    env.setenv("AMQP_URL", "amqp://me:hunter2@host/%2F")
    env.setenv("DATABASE_URL", "postgresql://me:hunter2@host/db")
    env.setenv("FAILSOFT_IMPORT_URL", "postgresql://me:hunter2@host/db")
    env.setenv("SMTP_PASSWORD", "hunter2")
    env.setenv("FAILSOFT_WEBHOOK_SECRETS", '{"orders": "hunter2"}')

    settings = load_settings()

    values = {each.name: each.value for each in settings.sources()}
    assert "hunter2" not in repr(settings) + str(settings) + str(values)
    assert values["redis_url"] == "redis://:***@host/0"
    assert values["webhook_secrets"] == "orders=***"
    assert values["smtp_password"] == MASK
    assert settings.webhook_secrets["orders"].get_secret_value() == "hunter2"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("redis://me:p@ss/word@host:6379/0", "redis://me:***@host:6379/0"),
        ("redis+sentinel://:pw@a:1,b:2/0?service=x", "redis+sentinel://:***@a:1,b:2/0?service=x"),
        ("unix:///run/redis?password=pw&db=1", "unix:///run/redis?password=***&db=1"),
        ("amqp://a:pw@one;amqp://a:pw@two", "amqp://a:***@one;amqp://a:***@two"),
        ("sqlite:///ledger.db", "sqlite:///ledger.db"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, expected: str) -> None:
    assert redacted_url(url) == expected


def test_every_setting_is_documented_and_can_be_reported() -> None:
    settings = Settings()

    sources = {each.name: each for each in settings.sources()}

    models: list[type[BaseModel]] = [Settings]
    models += [plugin(engine.kind).settings for engine in settings.engines]
    assert sources.keys() == {name for model in models for name in model.model_fields}
    assert sources.keys() <= {name for model in models for name in documented(model)}


@pytest.mark.parametrize("kind", installed())
def test_every_setting_of_an_engine_is_documented(kind: str) -> None:
    model = plugin(kind).settings

    assert model.model_fields.keys() <= documented(model)


def documented(model: type[BaseModel]) -> set[str]:
    lines = (model.__doc__ or "").splitlines()
    return {line.strip().partition(": ")[0] for line in lines if ": " in line}


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("sqlite:///.failsoft/ledger.db", Path(".failsoft")),
        ("sqlite:////var/lib/ledger.db", None),
        ("postgresql://host/db", None),
    ],
)
def test_only_the_folder_of_the_default_ledger_is_made(url: str, folder: Path | None) -> None:
    assert ledger_folder(url) == folder


LEDGERS = "a=postgresql://u:secret@one,two:5433/a?x=1,b=sqlite:////var/b.db"


def test_ledgers_are_read_with_the_commas_of_their_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAILSOFT_LEDGERS", LEDGERS)

    settings = load_settings(_env_file=None)

    assert settings.ledgers == {
        "a": "postgresql://u:secret@one,two:5433/a?x=1",
        "b": "sqlite:////var/b.db",
    }
    assert [each.ledger_name for each in settings.by_ledger()] == ["a", "b"]
    assert settings.of_ledger("b").namespace == f"{settings.namespace}-b"
    # A process of one ledger has the others' settings, too, for what its jobs dispatch.
    of_a = load_settings(_env_file=None, ledger_name="a")
    assert (of_a.ledger_url, of_a.namespace) == (LEDGERS[2:42], f"{settings.namespace}-a")
    assert of_a.of_ledger("b").namespace == f"{settings.namespace}-b"
    assert of_a.by_ledger() == (of_a,)
    shown = {each.name: each.value for each in of_a.sources()}
    assert "secret" not in "".join(shown.values()) + repr(of_a)


def test_without_ledgers_a_process_has_the_one_it_always_had() -> None:
    settings = load_settings(_env_file=None)

    assert (settings.ledgers, settings.by_ledger()) == ({}, (settings,))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"FAILSOFT_LEDGERS": "postgresql://host/db"}, "expected ledgers like a="),
        ({"FAILSOFT_LEDGERS": "A=sqlite:///a.db"}, "lower-case letters"),
        ({"FAILSOFT_LEDGERS": "a=sqlite:///a.db,a=sqlite:///b.db"}, "expected every ledger once"),
        ({"FAILSOFT_LEDGERS": "a=sqlite:///a.db,b=sqlite:///a.db"}, "expected every ledger once"),
        ({"FAILSOFT_LEDGERS": LEDGERS, "FAILSOFT_LEDGER_NAME": "c"}, r"\(a, b\), got c"),
        ({"FAILSOFT_LEDGER_NAME": "a"}, r"FAILSOFT_LEDGERS \(none there\), got a"),
        ({"FAILSOFT_LEDGERS": LEDGERS, "FAILSOFT_NAMESPACE": "n" * 31}, "within 32 characters"),
        ({"FAILSOFT_ENGINES_OFF": "carrier-pigeon"}, "expected engines of FAILSOFT_ENGINES"),
    ],
)
def test_ledgers_that_make_no_sense_are_refused(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], expected: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError, match=expected) as refused:
        load_settings(_env_file=None)
    assert "secret" not in str(refused.value)
