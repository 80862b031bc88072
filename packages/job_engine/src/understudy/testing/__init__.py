"""Fakes and conformance suites, for Understudy's own tests and for yours.

`MemoryLedger`, `MemoryEngine` and `FrozenClock` let a job be tested without a server. A ledger
or an engine of your own is one when it passes `LedgerSuite` or `EngineSuite`.
"""

from understudy.testing.clock import FrozenClock
from understudy.testing.engine_suite import EngineBench, EngineSuite, ServerlessEngineSuite
from understudy.testing.ledger_suite import LedgerSuite
from understudy.testing.memory_engine import MemoryEngine
from understudy.testing.memory_ledger.ledger import MemoryLedger

__all__ = [
    "EngineBench",
    "EngineSuite",
    "FrozenClock",
    "LedgerSuite",
    "MemoryEngine",
    "MemoryLedger",
    "ServerlessEngineSuite",
]
