"""Settings that are read from files: `NAME_FILE` is the path of a file with the value of `NAME`.

So a secret stands in no environment, which every process of the user can read: it is mounted, or a
credential of systemd's. What a file ends with is no part of the value if it is a line's end.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource

from failsoft.job_engine.errors import ConfigurationError
from failsoft.worker.configuration.report import IN_FILE, variables_of


class SettingsFromFiles(BaseSettings):
    """Settings each of which can be given as a file, in the environment and in `.env`."""

    @classmethod
    def settings_customise_sources(  # noqa: PLR0917 - pydantic-settings calls it
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the files into the variables that they stand for.

        Raises:
            ConfigurationError: A file cannot be read, or its variable is given, too.
        """
        for source in (env_settings, dotenv_settings):
            found = cast("EnvSettingsSource", source)
            found.env_vars = {**found.env_vars, **_read(settings_cls, found.env_vars)}
        return init_settings, env_settings, dotenv_settings


def _read(kind: type[BaseSettings], given: Mapping[str, str | None]) -> Mapping[str, str]:
    variables = [each for name in kind.model_fields for each in variables_of(kind, name)]
    paths = {each: given.get(f"{each}{IN_FILE}".lower()) for each in variables}
    return {
        each.lower(): _content(each, path, given.get(each.lower()))
        for each, path in paths.items()
        if path
    }


def _content(variable: str, path: str, value: str | None) -> str:
    if value:
        raise ConfigurationError(
            f"expected {variable} or {variable}{IN_FILE}, got both; leave one out"
        )
    try:
        return Path(path).read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(
            f"{variable}{IN_FILE}: expected a file that can be read, got {path} ({reason})"
        ) from None
