"""Loaded into the process that forks the children of attempts, before all else and nowhere else.

Its import has effects, which are its only purpose. The process ends with the worker, and a SIGTERM
sent to every process of a service does not end it (RQ-15). The signal is blocked and not ignored,
so that one sent to a child is delivered once the child has its handler. And the job modules that it
loads next find what FAILSOFT_CALLABLES allows, as they do in the worker.
"""

import signal

from failsoft.job_engine.definitions.callables import allow_callables
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.processes.garbage import collect_seldom
from failsoft.worker.processes.parent_death import die_with_parent

collect_seldom()
die_with_parent()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
allow_callables(load_settings().callables)
