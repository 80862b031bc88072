"""The environment variables of the demo and its workers: its own settings and no others."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from string import ascii_lowercase

from pydantic_settings import BaseSettings

from failsoft.dispatcher.plugins.discovery import EngineName
from failsoft.worker.configuration.engine_settings import PREFIX, variables_model
from failsoft.worker.configuration.settings import DEFAULT_ENGINES, Settings, load_settings
from failsoft.worker.configuration.unknown_variables import known_variables

#: The name of the secret that signs the demo's webhooks.
SECRET_NAME = "demo"  # noqa: S105 - a name, and no secret

_NOTIFY = f"{PREFIX}NOTIFY"

# Short, so that what takes a minute in production takes seconds here.
_SPANS: Mapping[str, str] = {
    "LEASE": "4s",
    "WORKER_BEAT": "500ms",
    "WORKER_TTL": "6s",
    "MAINTENANCE_EVERY": "250ms",
    "PROBE_EVERY": "250ms",
    "MIN_OPEN": "1s",
    "RAMP": "2s",
    "SHUTDOWN_GRACE": "3s",
}


def demo_settings(
    folder: Path, ledgers: int = 1, *, engines: Sequence[EngineName], imports: Path, secret: str
) -> Mapping[str, str]:
    """Return the settings of the demo as environment variables.

    Of the caller's own, `FAILSOFT_NOTIFY` and the secrets that its channels name are among them;
    the rules of a `failsoft.toml` are not.

    Args:
        folder: Where the databases go.
        ledgers: How many ledgers there are.
        engines: The engines in their order.
        imports: Where the file to import is.
        secret: What signs the webhooks.
    """
    given = {
        "ENGINES": ",".join(map(str, engines)),
        **_ledgers(folder, ledgers),
        "IMPORT_URL": f"sqlite:///{folder / 'imported.db'}",
        "IMPORT_FOLDER": str(imports),
        "WEBHOOK_SECRETS": json.dumps({**_secrets(), SECRET_NAME: secret}),
        # Also without any: it takes the place of a `failsoft.toml`.
        "NOTIFY": os.environ.get(_NOTIFY, "{}"),
        "WEBHOOK_ALLOW_PRIVATE": "true",
        "LOG_FORMAT": "json",
        # At the hour it would be one more job among those that the demo counts.
        "PRUNE": "off",
    }
    return {PREFIX + name: value for name, value in {**given, **_SPANS}.items()}


def _secrets() -> Mapping[str, str]:
    if _NOTIFY not in os.environ:
        return {}
    settings = load_settings(_env_file=None)
    return {name: each.get_secret_value() for name, each in settings.webhook_secrets.items()}


def _ledgers(folder: Path, count: int) -> Mapping[str, str]:
    if count == 1:
        return {"LEDGER_URL": f"sqlite:///{folder / 'ledger.db'}"}
    names = ascii_lowercase[:count]
    each = [f"{name}=sqlite:///{folder / f'ledger-{name}.db'}" for name in names]
    return {"LEDGERS": ",".join(each)}


@contextmanager
def only_these_settings(settings: Mapping[str, str]) -> Iterator[None]:
    """Replace every setting of the environment, for this process and those it starts."""
    before = dict(os.environ)
    models: list[type[BaseSettings]] = [Settings]
    models += [variables_model(EngineName(kind, kind)) for kind in _kinds(settings)]
    known = {name for model in models for name in known_variables(model)}
    try:
        for name in [each for each in before if each.upper() in known or _is_ours(each)]:
            del os.environ[name]
        os.environ.update(settings)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _kinds(settings: Mapping[str, str]) -> Sequence[str]:
    engines = settings.get(f"{PREFIX}ENGINES", ",".join(DEFAULT_ENGINES))
    return [EngineName.parse(each).kind for each in engines.split(",")]


def _is_ours(variable: str) -> bool:
    return variable.upper().startswith(PREFIX)
