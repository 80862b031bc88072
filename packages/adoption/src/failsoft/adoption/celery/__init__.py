"""Coming from Celery: a class of tasks whose `delay` is a dispatch.

`Celery(task_cls=FailsoftTask)`. Workers have the tasks by `failsoft.adoption.celery.jobs` in
`FAILSOFT_JOBS` and their modules in `FAILSOFT_CALLABLES`.
"""

from failsoft.adoption.celery.task import FailsoftTask

__all__ = ["FailsoftTask"]
