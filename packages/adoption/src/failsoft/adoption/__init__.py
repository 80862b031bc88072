"""Coming to Failsoft from another queue: its call sites dispatch, its functions stay as they are.

`failsoft.adoption.rq.FailsoftQueue` stands in place of `rq.Queue`,
`failsoft.adoption.dramatiq.FailsoftBroker` is a broker of Dramatiq, and
`failsoft.adoption.celery.FailsoftTask` the class of a Celery app's tasks. What they dispatch is run
by the workers of every engine whose `FAILSOFT_JOBS` has `failsoft.adoption.rq.jobs`, or its like.
What cannot be carried over is refused by name, before anything is stored.
"""
