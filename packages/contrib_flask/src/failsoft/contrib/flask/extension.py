"""The extension of a Flask app."""

from flask import Flask

from failsoft.api import Dispatcher
from failsoft.contrib.flask.command import failsoft
from failsoft.contrib.flask.settings import make_settings_of_process
from failsoft.dispatcher import default_dispatcher, opened_dispatcher

#: The extension's name in `app.extensions`.
NAME = "failsoft"


class Failsoft:
    """Failsoft in a Flask app; `app.extensions["failsoft"]` is it.

    The settings `FAILSOFT_*` of `app.config` are read when the app is initialised. An environment
    variable of the same name beats them.
    """

    def __init__(self, app: Flask | None = None) -> None:
        """Initialise an app at once, or later by `init_app`.

        Raises:
            ConfigurationError: As `init_app` does.
        """
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Initialise an app; no connection is opened before the first dispatch.

        Raises:
            ConfigurationError: If a setting is no value for one, or another app of this process
                has other settings.
        """
        make_settings_of_process(app)
        app.extensions[NAME] = self
        app.teardown_appcontext(_flush)
        app.cli.add_command(failsoft)

    @property
    def dispatcher(self) -> Dispatcher:
        """The dispatcher of this process, which `dispatch_job` uses.

        Raises:
            ConfigurationError: If a setting is wrong.
            LedgerUnavailableError: If it was not open, and the ledger does not answer.
        """
        return default_dispatcher()


def _flush(error: BaseException | None) -> None:
    dispatcher = opened_dispatcher()
    if dispatcher is not None:
        dispatcher.flush()
