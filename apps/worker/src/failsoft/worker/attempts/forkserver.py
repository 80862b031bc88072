"""Loaded into the process that forks the children of attempts, and nowhere else.

Importing it has an effect, which is its only purpose: that process ends with the worker, and a
SIGTERM that is sent to every process of a service leaves it alone (RQ-15). It blocks the signal
rather than ignore it: one that reaches a child before the child listens waits until it does.
"""

import signal

from failsoft.worker.processes.parent_death import die_with_parent

die_with_parent()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
