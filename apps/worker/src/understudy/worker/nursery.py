"""Loaded into the process that forks the children of attempts, and nowhere else.

Importing it has an effect, which is its only purpose: that process ends with the worker, and a
SIGTERM that is sent to every process of a service leaves it and its children alone (RQ-15).
"""

import signal

from understudy.worker.parentage import die_with_parent

die_with_parent()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
