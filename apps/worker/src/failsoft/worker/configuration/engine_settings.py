"""The settings of each engine, read from its own variables as its plug-in describes them."""

from collections.abc import Mapping
from copy import copy
from functools import lru_cache
from typing import Any, ClassVar, cast

from pydantic import AliasChoices, BaseModel, ValidationError, create_model
from pydantic_settings import BaseSettings, SettingsConfigDict

from failsoft.dispatcher.plugins.discovery import EngineName, plugin
from failsoft.dispatcher.plugins.plugin import AnyPlugin
from failsoft.job_engine.errors import ConfigurationError
from failsoft.worker.configuration.files import SettingsFromFiles
from failsoft.worker.configuration.report import explain

PREFIX = "FAILSOFT_"


class _Variables(SettingsFromFiles):
    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_file=".env", extra="ignore", populate_by_name=True, validate_default=True
    )


@lru_cache
def variables_model(engine: EngineName) -> type[BaseSettings]:
    """Return the model that reads the settings of an engine, a subclass of its plug-in's.

    Raises:
        ConfigurationError: The engine is not installed, or its plug-in cannot be imported.
    """
    found = plugin(engine.kind)
    fields: Any = {}
    for name, field in found.settings.model_fields.items():
        read = copy(field)
        read.validation_alias = AliasChoices(*_variables(found, engine, name))
        fields[name] = (field.annotation, read)
    # Without the prefix a field would be read from a variable of its bare name, too, as HOST.
    prefixed = type("_Prefixed", (_Variables,), {"model_config": {"env_prefix": _prefix(engine)}})
    bases = (found.settings, prefixed)
    model: Any = create_model(f"{engine.name}_settings", __base__=bases, **fields)
    return cast("type[BaseSettings]", model)


def read_engine(engine: EngineName, **given: Any) -> BaseModel:
    """Read the settings of an engine; what is given beats the environment.

    Raises:
        ConfigurationError: One is wrong; the message names its variable.
    """
    model = variables_model(engine)
    try:
        return model(**given)
    except ValidationError as error:
        raise ConfigurationError(explain(model, error)) from None


def shown_variables(engine: EngineName) -> Mapping[str, str]:
    """Return the variable of each setting that a message names: a common one, if there is one."""
    found = plugin(engine.kind)
    variables = {name: _variables(found, engine, name) for name in found.settings.model_fields}
    return {
        name: next((each for each in given if not each.startswith(PREFIX)), given[0])
        for name, given in variables.items()
    }


def _variables(found: AnyPlugin, engine: EngineName, field: str) -> tuple[str, ...]:
    own = f"{_prefix(engine)}{field}".upper()
    return (*(found.generic.get(field, ()) if engine.name == engine.kind else ()), own)


def _prefix(engine: EngineName) -> str:
    return f"{PREFIX}{engine.name}_".replace("-", "_").upper()
