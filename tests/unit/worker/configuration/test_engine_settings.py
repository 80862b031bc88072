"""Settings of engines come from their own variables, and from no other program's."""

from pathlib import Path

import pytest

from failsoft.dispatcher.plugins.discovery import EngineName, installed, plugin
from failsoft.worker.configuration.engine_settings import read_engine, variables_model
from failsoft.worker.configuration.report import variables_of
from tests.unit.worker.configuration.environment import forget_settings


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget_settings(monkeypatch, tmp_path)


@pytest.mark.parametrize("kind", installed())
def test_a_variable_of_a_fields_bare_name_is_another_programs(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = EngineName.parse(kind)
    generic = {name for names in plugin(kind).generic.values() for name in names}
    before = read_engine(engine)
    for name in plugin(kind).settings.model_fields:
        if name.upper() not in generic:
            monkeypatch.setenv(name.upper(), "9")

    assert read_engine(engine) == before
    model = variables_model(engine)
    for name in model.model_fields:
        for variable in variables_of(model, name):
            assert variable.startswith("FAILSOFT_") or variable in generic


def test_an_alias_has_variables_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAILSOFT_EU_WEST_REDIS_URL", "redis://eu:6379/0")

    assert "//eu:" in repr(read_engine(EngineName.parse("eu-west=rq")).model_dump())
    assert "//eu:" not in repr(read_engine(EngineName.parse("rq")).model_dump())
