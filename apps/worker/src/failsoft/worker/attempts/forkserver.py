"""Loaded into the process that forks the children of attempts, and nowhere else.

Its import has an effect, which is its only purpose: that process ends with the worker, and a
SIGTERM sent to every process of a service does not end it (RQ-15). The signal is blocked and not
ignored, so that one sent to a child is delivered once the child has its handler.
"""

import signal

from failsoft.worker.processes.parent_death import die_with_parent

die_with_parent()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
