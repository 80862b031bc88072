"""Coming from RQ: a queue whose `enqueue` is a dispatch.

`FailsoftQueue(name)` stands in place of `rq.Queue(name, connection)`, also in `rq.decorators.job`.
Workers have the functions by `failsoft.adoption.rq.jobs` in `FAILSOFT_JOBS` and their modules in
`FAILSOFT_CALLABLES`.
"""

from failsoft.adoption.rq.queue import FailsoftQueue

__all__ = ["FailsoftQueue"]
