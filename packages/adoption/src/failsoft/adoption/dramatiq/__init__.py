"""Coming from Dramatiq: a broker whose `enqueue` is a dispatch.

`dramatiq.set_broker(FailsoftBroker())` before the actors are declared. Workers have them by
`failsoft.adoption.dramatiq.jobs` in `FAILSOFT_JOBS` and their modules in `FAILSOFT_CALLABLES`.
"""

from failsoft.adoption.dramatiq.broker import FailsoftBroker

__all__ = ["FailsoftBroker"]
