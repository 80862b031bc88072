"""Failsoft in Django: a backend of Django Tasks, and what belongs around it.

`"failsoft.contrib.django"` in `INSTALLED_APPS` brings the settings `FAILSOFT_*`, the system checks
and the commands `failsoft` and `failsoft_worker`. `"failsoft.contrib.django.FailsoftBackend"` as
a `BACKEND` of `TASKS` dispatches tasks as jobs: in Django's own transaction where the ledger is in
the same database. A `FailsoftTask` is what `@task` makes with it, and a task with `steps=True`
takes a `StepContext`. `task` is Django's own decorator, typed with what Failsoft adds.
"""

from typing import TYPE_CHECKING

from failsoft.job_engine.lazy_names import lazily

if TYPE_CHECKING:
    from failsoft.contrib.django.backend import FailsoftBackend
    from failsoft.contrib.django.declaring import task
    from failsoft.contrib.django.steps import StepContext
    from failsoft.contrib.django.task_type import FailsoftTask
else:
    # Django imports this package before its apps are loaded.
    __getattr__ = lazily(
        __name__,
        {
            "failsoft.contrib.django.backend": ("FailsoftBackend",),
            "failsoft.contrib.django.declaring": ("task",),
            "failsoft.contrib.django.steps": ("StepContext",),
            "failsoft.contrib.django.task_type": ("FailsoftTask",),
        },
    )

__all__ = ["FailsoftBackend", "FailsoftTask", "StepContext", "task"]
