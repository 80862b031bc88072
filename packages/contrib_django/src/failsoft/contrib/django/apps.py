"""The app of Django's."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules

from failsoft.contrib.django import checks
from failsoft.contrib.django.settings import make_settings_of_process

#: The module of each app that has its tasks.
TASKS_MODULE = "tasks"


class FailsoftConfig(AppConfig):
    """Failsoft in `INSTALLED_APPS`: its settings, its checks, and the tasks of every app."""

    name = "failsoft.contrib.django"
    label = "failsoft"
    verbose_name: str = "Failsoft"  # pyright: ignore[reportIncompatibleVariableOverride]  # as Django has it

    def ready(self) -> None:
        """Read the settings and import the module `tasks` of every app that has one.

        Raises:
            ConfigurationError: A setting is wrong.
        """
        make_settings_of_process()
        checks.register()
        autodiscover_modules(TASKS_MODULE)
