"""The source of each setting, and what is wrong with it, without its secrets."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import AliasChoices, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource

from failsoft.job_engine.values.redaction import MASK, redacted, redacted_url

#: What follows the name of a variable where its value is in a file.
IN_FILE = "_FILE"

#: What was expected, by pydantic's type of error.
_EXPECTED: Mapping[str, str] = {
    "bool_parsing": "true or false",
    "int_parsing": "a whole number",
    "greater_than_equal": "a number of at least {ge}",
    "less_than_equal": "a number of at most {le}",
    "literal_error": "{expected}",
    "string_pattern_mismatch": "text like {pattern}",
    "dict_type": "a JSON object",
}


@dataclass(frozen=True, slots=True)
class SettingSource:
    """One setting and its source.

    Attributes:
        name: The field of `Settings`.
        value: Its value, with passwords and secrets masked.
        variable: The variable that set it, or that would.
        source: `environment`, `.env` or `default`.
    """

    name: str
    value: str
    variable: str
    source: str


def provenance(settings: BaseSettings) -> list[SettingSource]:
    """Return every setting with its source."""
    kind = type(settings)
    found = found_in(kind)
    return [
        SettingSource(name, shown(getattr(settings, name)), *_origin(kind, name, found))
        for name in kind.model_fields
    ]


def explain(kind: type[BaseSettings], error: ValidationError) -> str:
    """Return for every wrong setting its variable, what was expected and what was got."""
    found = found_in(kind)
    return "; ".join(_line(kind, each, found) for each in error.errors(include_url=False))


def shown(value: object) -> str:
    """Return a setting as text that may be shown: secrets and passwords masked."""
    match value:
        case SecretStr():
            return MASK if value.get_secret_value() else ""
        case timedelta():
            return f"{value.total_seconds():g}s"
        case tuple():
            return ",".join(map(str, value))
        case dict():
            return ",".join(f"{name}={shown(item)}" for name, item in value.items())
        case bool():
            return str(value).lower()
        case _:
            return redacted_url(str(value))


def found_in(kind: type[BaseSettings]) -> list[tuple[str, Mapping[str, str | None]]]:
    """Return the variables of the environment and of `.env`; the first source wins."""
    return [
        ("environment", EnvSettingsSource(kind).env_vars),
        (".env", DotEnvSettingsSource(kind).env_vars),
    ]


def _origin(
    kind: type[BaseSettings], name: str, found: list[tuple[str, Mapping[str, str | None]]]
) -> tuple[str, str]:
    variables = list(variables_of(kind, name))
    for source, values in found:
        for variable in variables:
            for given in (variable, f"{variable}{IN_FILE}"):
                if given.lower() in values:
                    return given, source
    return variables[0], "default"


def variables_of(kind: type[BaseSettings], name: str) -> Iterator[str]:
    """Return the variables that set a setting, the one that wins first."""
    alias = kind.model_fields[name].validation_alias
    found = list[str]()
    if isinstance(alias, AliasChoices):
        found = [choice for choice in alias.choices if isinstance(choice, str)]
    elif isinstance(alias, str):
        found = [alias]
    # `populate_by_name` accepts every setting by its own name, too.
    own = f"{kind.model_config.get('env_prefix', '')}{name}".upper()
    yield from found if own in found else (*found, own)


def _line(
    kind: type[BaseSettings],
    error: ErrorDetails,
    found: list[tuple[str, Mapping[str, str | None]]],
) -> str:
    if not error["loc"]:
        # Of several settings together: the message of the validator names them.
        return redacted(str(error.get("ctx", {}).get("error", error["msg"])))
    name = _field(kind, str(error["loc"][0]))
    variable, _ = _origin(kind, name, found)
    return f"{variable}: {_what(kind, name, error)}"


def _field(kind: type[BaseSettings], location: str) -> str:
    fields = kind.model_fields
    return next(name for name in fields if location in (name, *variables_of(kind, name)))


def _what(kind: type[BaseSettings], name: str, error: ErrorDetails) -> str:
    context: dict[str, Any] = error.get("ctx", {})
    if "error" in context:
        # The message of a validator of `Settings` is complete.
        return redacted(str(context["error"]))
    pattern = _EXPECTED.get(error["type"])
    expected = pattern.format(**context) if pattern else f"a value that fits ({error['msg']})"
    # A setting that is not in the settings' repr is not in a message either.
    got = redacted(repr(error["input"])) if kind.model_fields[name].repr else "something else"
    return f"expected {expected}, got {got}"
