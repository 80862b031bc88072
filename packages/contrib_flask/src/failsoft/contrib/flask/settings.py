"""The settings of an app as those of its process, and of the processes that it starts."""

import os

from flask import Flask

from failsoft.api import ConfigurationError
from failsoft.dispatcher import opened_dispatcher, use_dispatcher
from failsoft.dispatcher.setting_text import setting_text

PREFIX = "FAILSOFT_"

#: What an app of this process put into the environment.
_ours: dict[str, str] = {}


def make_settings_of_process(app: Flask) -> None:
    """Put the `FAILSOFT_*` settings of an app into the environment, where they are read.

    A variable that is set there already stays as it is: what a process is started with decides.

    Raises:
        ConfigurationError: If another app of this process has other settings: a process has one
            dispatcher. An app under test (`TESTING`) takes the place of the one before.
    """
    wanted = settings_of(app)
    if not wanted or wanted == _ours:
        return
    if _ours and not app.testing:
        differing = sorted(
            name for name in wanted.keys() | _ours.keys() if wanted.get(name) != _ours.get(name)
        )
        raise ConfigurationError(
            "expected one set of settings in a process, got another app with other values of "
            f"{', '.join(differing)}; run the apps in processes of their own, or set TESTING "
            "before init_app where an app takes the place of another in tests"
        )
    _forget()
    for name, text in wanted.items():
        if name not in os.environ:
            os.environ[name] = text
    _ours.update(wanted)


def settings_of(app: Flask) -> dict[str, str]:
    """Return the settings of an app as the texts that environment variables have.

    Raises:
        ConfigurationError: If a value has no such text.
    """
    given = {name: value for name, value in app.config.items() if name.startswith(PREFIX)}
    return {name: setting_text(name, value) for name, value in given.items() if value is not None}


def _forget() -> None:
    opened = opened_dispatcher()
    if _ours and opened is not None:
        opened.close()
        use_dispatcher(None)
    for name, text in _ours.items():
        if os.environ.get(name) == text:
            del os.environ[name]
    _ours.clear()
