"""Loaded into the process that forks the children of attempts, before all else and nowhere else.

Its import has effects, which are its only purpose. The process ends with the worker, and a SIGTERM
sent to every process of a service does not end it (RQ-15). The signal is blocked and not ignored,
so that one sent to a child is delivered once the child has its handler. And the job modules that it
loads next find what FAILSOFT_CALLABLES allows, as they do in the worker. What each child would
make by itself is made once: its view of the ledger, which is connected to nothing, and the
statements of an attempt.
"""

import signal
from collections.abc import Iterator
from contextlib import suppress

from failsoft.job_engine.definitions.callables import allow_callables
from failsoft.job_engine.errors import FailsoftError
from failsoft.ledger import SqlLedger
from failsoft.worker.configuration.settings import Settings, load_settings
from failsoft.worker.processes.garbage import collect_seldom
from failsoft.worker.processes.parent_death import die_with_parent
from failsoft.worker.wiring import ALONE, open_database

collect_seldom()
die_with_parent()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
_settings = load_settings()
allow_callables(_settings.callables)


def _ledgers(settings: Settings) -> Iterator[SqlLedger]:
    several = [settings.of_ledger(name) for name in settings.ledgers]
    for each in several or [settings]:
        # A child says what is wrong with its ledger when it opens it.
        with suppress(FailsoftError):
            ledger = SqlLedger(open_database(each, ALONE))
            ledger.prepare_attempts()
            yield ledger


#: Kept, for what is open is shared as long as anything refers to it.
LEDGERS = tuple(_ledgers(_settings))
