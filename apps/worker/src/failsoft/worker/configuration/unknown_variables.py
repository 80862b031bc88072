"""Variables that look like settings and are not, which would otherwise be ignored silently."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches

from pydantic_settings import BaseSettings

from failsoft.dispatcher.plugins.discovery import EngineName, installed
from failsoft.job_engine.errors import ConfigurationError
from failsoft.worker.configuration.engine_settings import variables_model
from failsoft.worker.configuration.report import IN_FILE, found_in, variables_of

#: How similar two names must be for one to be suggested for the other.
_CLOSE = 0.8
#: The variables of Kubernetes for a service whose name is the prefix, or begins with it:
#: https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_OF_SERVICES = re.compile(
    r".*_(SERVICE_(HOST|PORT(_.+)?)|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)", re.IGNORECASE
)


def unknown_settings(
    kind: type[BaseSettings], engines: Mapping[str, type[BaseSettings]]
) -> list[str]:
    """Return a message for every variable with the prefix of settings that is none.

    Args:
        kind: The settings.
        engines: Those of each engine in use, by its name. Those of engines that are installed and
            not in use are left alone.
    """
    prefix = str(kind.model_config.get("env_prefix", ""))
    known = [name for each in (kind, *engines.values()) for name in known_variables(each)]
    others = [each for each in installed() if each not in engines]
    idle = tuple(f"{prefix}{each}_".replace("-", "_").upper() for each in others)
    names = [
        name
        for name in _set(kind)
        if name.startswith(prefix)
        and name not in known
        and not name.startswith(idle)
        and not _OF_SERVICES.fullmatch(name)
    ]
    # Only now: a plug-in is imported to find out, which takes time.
    of_others = {name for each in others for name in _of_engine(each)} if names else set()
    return [
        f"{name}: expected the name of a setting, {_meant(name, prefix, known)}"
        for name in names
        if name not in of_others
    ]


def _of_engine(name: str) -> Sequence[str]:
    with suppress(ConfigurationError):  # such an engine is refused where it is named
        return known_variables(variables_model(EngineName(name, name)))
    return ()


def lookalikes(
    kind: type[BaseSettings], engines: Mapping[str, type[BaseSettings]]
) -> Iterator[tuple[str, str]]:
    """Return variables that are similar to settings without a prefix, each with that setting.

    They may be another program's, so they are no error; only settings that are not set count.
    """
    prefix = str(kind.model_config.get("env_prefix", ""))
    names = _set(kind)
    known = [name for each in (kind, *engines.values()) for name in known_variables(each)]
    given = {*names, *(name.removesuffix(IN_FILE) for name in names)}
    absent = [
        name
        for name in known
        if name not in given and not name.startswith(prefix) and not name.endswith(IN_FILE)
    ]
    for name in names:
        close = get_close_matches(name, absent, 1, _CLOSE)
        if close and name not in known:
            yield name, close[0]


def _meant(name: str, prefix: str, known: Collection[str]) -> str:
    bare = name.removeprefix(prefix)
    close = [bare] if bare in known else get_close_matches(name, known, 1, _CLOSE)
    return f"got one like {close[0]}: did you mean that?" if close else "got one that there is not"


def known_variables(kind: type[BaseSettings]) -> Sequence[str]:
    """Return the variables of every setting, in upper case, and those of their files."""
    names = [name.upper() for field in kind.model_fields for name in variables_of(kind, field)]
    return [*names, *(f"{name}{IN_FILE}" for name in names)]


def _set(kind: type[BaseSettings]) -> Sequence[str]:
    # In any case: it is ignored when they are read, too.
    return sorted({name.upper() for _, values in found_in(kind) for name in values})
