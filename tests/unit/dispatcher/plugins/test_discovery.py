"""Plug-ins are found by their entry points; what is wrong with one is said with the remedy."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from failsoft.dispatcher.plugins.discovery import (
    EngineName,
    check_names,
    distribution,
    installed,
    plugin,
)
from failsoft.job_engine.errors import ConfigurationError
from failsoft.worker.configuration.settings import Settings, load_settings
from failsoft.worker.exit_codes import CONFIG, exit_code
from tests.unit.worker.configuration.environment import forget_settings

Install = Callable[[str, str, str], None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Install]:
    """Install a distribution with one module and one engine of one name."""
    forget_settings(monkeypatch, tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    def installed_as(kind: str, code: str, value: str) -> None:
        (tmp_path / f"engine_{kind}.py").write_text(code)
        metadata = tmp_path / f"acme_engine_{kind}-1.2.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: acme-engine-{kind}\nVersion: 1.2\n"
        )
        (metadata / "entry_points.txt").write_text(
            f"[failsoft.engines]\n{kind} = engine_{kind}:{value}\n"
        )

    yield installed_as
    plugin.cache_clear()


def refused(engines: str) -> str:
    with pytest.raises(ConfigurationError) as error:
        load_settings(engines=tuple(map(EngineName.parse, engines.split(","))))
    assert exit_code(error.value) == CONFIG == 78
    return str(error.value)


def test_an_engine_that_is_not_installed_is_refused_with_those_that_are(install: Install) -> None:
    said = refused("rq,pigeons")

    assert f"expected installed engines ({', '.join(installed())}), got pigeons" in said
    assert "pip install failsoft-engine-pigeons" in said


def test_a_misspelt_engine_is_refused_with_the_one_that_was_meant(install: Install) -> None:
    said = refused("dramatic")

    assert "got dramatic; did you mean 'dramatiq'?" in said
    assert "pip install" not in said


def test_an_engine_that_cannot_be_imported_is_refused_with_the_others(install: Install) -> None:
    install("broken", "import no_such_library\n", "PLUGIN")

    said = refused("rq,broken")

    assert "engine 'broken' to be importable, got ModuleNotFoundError: No module named" in said
    assert "repair acme-engine-broken, or leave broken out of FAILSOFT_ENGINES (installed:" in said
    assert "rq" in said.partition("installed:")[2]


def test_an_engine_that_is_not_named_is_not_imported(install: Install) -> None:
    install("broken", "raise SystemExit('imported')\n", "PLUGIN")

    load_settings(engines=(EngineName("rq", "rq"),))

    assert "broken" in installed()
    assert distribution("broken") == "acme-engine-broken 1.2"


def test_an_entry_point_that_is_no_plug_in_is_refused(install: Install) -> None:
    install("odd", "def build(): ...\n", "build")

    said = refused("odd")

    assert "expected an EnginePlugin at the entry point engine_odd:build of engine 'odd'" in said
    assert "repair acme-engine-odd" in said


def test_two_engines_of_one_name_are_refused(
    monkeypatch: pytest.MonkeyPatch, install: Install
) -> None:
    with pytest.raises(ValueError, match="expected a name for each engine, got rq, rq=kafka; give"):
        check_names([EngineName("rq", "rq"), EngineName("rq", "kafka")])
    monkeypatch.setenv("FAILSOFT_ENGINES", "rq,rq")

    with pytest.raises(ConfigurationError, match="as in eu=rq") as error:
        load_settings()

    assert exit_code(error.value) == CONFIG


@pytest.mark.parametrize("text", ["", "RQ", "r q", "=rq", "eu=", "9rq", "r" * 33, "eu=rq=x"])
def test_a_name_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected engines like"):
        EngineName.parse(text)


def test_several_engines_of_one_kind_have_settings_of_their_own(
    monkeypatch: pytest.MonkeyPatch, install: Install
) -> None:
    monkeypatch.setenv("FAILSOFT_ENGINES", "rq,eu=rq")
    monkeypatch.setenv("REDIS_URL", "redis://here:1/0")
    monkeypatch.setenv("FAILSOFT_EU_REDIS_URL", "redis://there:2/0")

    settings = load_settings()

    assert settings.engine_names == ("rq", "eu")
    assert [vars(settings.of_engine(name))["redis_url"] for name in settings.engine_names] == [
        "redis://here:1/0",
        "redis://there:2/0",
    ]


@pytest.mark.parametrize(
    ("variables", "offered"),
    [
        ({}, ("rq", "dramatiq", "kafka")),
        ({"USE_RQ": "false"}, ("dramatiq", "kafka")),
        ({"FAILSOFT_ENGINES_OFF": "dramatiq,kafka"}, ("rq",)),
        ({"FAILSOFT_ENGINES_OFF": "rq", "USE_RQ": "false"}, ("dramatiq", "kafka")),
    ],
)
def test_engines_get_offers_in_their_order_unless_they_are_off(
    monkeypatch: pytest.MonkeyPatch,
    install: Install,
    variables: dict[str, str],
    offered: tuple[str, ...],
) -> None:
    monkeypatch.setenv("FAILSOFT_ENGINES", "rq,dramatiq,kafka")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert load_settings().offered_engines == offered


def test_only_engines_of_the_settings_can_be_off(
    monkeypatch: pytest.MonkeyPatch, install: Install
) -> None:
    monkeypatch.setenv("FAILSOFT_ENGINES_OFF", "kafka")

    with pytest.raises(ConfigurationError, match=r"expected engines of FAILSOFT_ENGINES \(rq, "):
        load_settings()


def test_use_rq_is_no_error_where_there_is_no_rq(
    monkeypatch: pytest.MonkeyPatch, install: Install
) -> None:
    monkeypatch.setenv("FAILSOFT_ENGINES", "kafka")
    monkeypatch.setenv("USE_RQ", "false")

    assert Settings().offered_engines == ("kafka",)
