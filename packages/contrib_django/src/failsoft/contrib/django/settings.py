"""The settings of a Django project as those of its process, and of the processes that it starts."""

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from failsoft.dispatcher.setting_text import setting_text

PREFIX = "FAILSOFT_"
#: Names the alias of the database that the ledger is in, in the place of its URL.
DATABASE = "FAILSOFT_LEDGER_DATABASE"
LEDGER_URL = "FAILSOFT_LEDGER_URL"
#: What `OPTIONS` and a URL both say of PostgreSQL.
_OF_LIBPQ = (
    *("options", "service", "sslcert", "sslkey", "sslmode", "sslrootcert"),
    "target_session_attrs",
)


def make_settings_of_process() -> None:
    """Put the `FAILSOFT_*` settings of the project into the environment, where they are read.

    A variable that is set there already stays as it is: what a process is started with decides.

    Raises:
        ImproperlyConfigured: The database that the ledger is to be in is none that it can be in.
        ConfigurationError: A value has no text.
    """
    for name in filter(lambda name: name.startswith(PREFIX), dir(settings)):
        value = getattr(settings, name)
        if name == DATABASE:
            os.environ.setdefault(LEDGER_URL, ledger_url(value, settings.DATABASES))
        elif value is not None and name not in os.environ:
            os.environ[name] = setting_text(name, value)


def ledger_url(alias: str, databases: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the URL of a ledger in one of the project's databases.

    Raises:
        ImproperlyConfigured: There is no such database, or it is neither PostgreSQL nor SQLite.
    """
    if alias not in databases:
        known = ", ".join(databases)
        raise ImproperlyConfigured(f"{DATABASE}: expected one of {known}, got {alias!r}")
    given = databases[alias]
    vendor = str(given["ENGINE"]).rpartition(".")[2]
    if "sqlite" in vendor or "spatialite" in vendor:
        return f"sqlite:///{given['NAME']}"
    if vendor in {"postgresql", "postgis"}:
        return _postgresql(given)
    raise ImproperlyConfigured(
        f"{DATABASE}: expected a database on PostgreSQL or SQLite, got {alias!r} on {vendor}; give "
        f"the ledger one of its own in {LEDGER_URL}"
    )


def _postgresql(given: Mapping[str, Any]) -> str:
    user, password, host, port = (
        str(given.get(name) or "") for name in ("USER", "PASSWORD", "HOST", "PORT")
    )
    options = given.get("OPTIONS", {})
    named = {key: str(options[key]) for key in _OF_LIBPQ if key in options}
    if host.startswith("/"):
        named["host"], host = host, ""
    login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    place = (f"{login}@" if login else "") + host + (f":{port}" if port else "")
    query = f"?{urlencode(named)}" if named else ""
    return f"postgresql://{place}/{quote(str(given['NAME']), safe='')}{query}"
