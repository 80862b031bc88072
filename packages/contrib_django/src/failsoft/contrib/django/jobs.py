"""The job module of a worker of a Django project: it sets Django up and has the job of its tasks.

`manage.py failsoft worker` names it in `FAILSOFT_JOBS`; `failsoft worker` runs the same where that
and `DJANGO_SETTINGS_MODULE` are set. The jobs in the modules `tasks` of the apps are its, too.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import django
from django.apps import apps
from django.db import close_old_connections

from failsoft.job_engine.definitions.surroundings import surround_attempts

django.setup()

from failsoft.contrib.django.apps import TASKS_MODULE  # noqa: E402 - Django is set up first
from failsoft.contrib.django.running import django_task  # noqa: E402 - see above

__all__ = ["django_task"]


@contextmanager
def _fresh_connections() -> Iterator[None]:
    """Close connections that are too old or broken, before an attempt and after it."""
    close_old_connections()
    try:
        yield
    finally:
        close_old_connections()


surround_attempts(_fresh_connections)
for _app in apps.get_app_configs():
    _module = sys.modules.get(f"{_app.name}.{TASKS_MODULE}")
    if _module is not None:
        # A name of this module, by which its jobs are found.
        globals()[f"jobs_of_{_app.label}"] = _module
