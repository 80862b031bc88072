"""Raising an interrupt in a thread that runs a job's own code; best effort (R33)."""

import ctypes
import sys
import threading
from contextlib import suppress
from time import sleep

from failsoft.job_engine.attempt.interrupts import Interrupt

#: How often an exception is raised in the own thread until it comes.
_TRIES = 100


class _TakenBack(BaseException):
    """Nothing: raised and caught in one place."""


def interrupt_thread(thread_id: int, interrupt: type[Interrupt] | None) -> None:
    """Raise an exception class in a thread, or take back one that was not yet raised.

    It is raised between two bytecodes: a call into C is not interrupted. Jobs of a queue with
    `isolation="process"` can be ended there, too.
    """
    _raise_in(thread_id, interrupt)
    if interrupt is None and sys.version_info < (3, 12):
        _let_the_interpreter_forget()


def _let_the_interpreter_forget() -> None:
    """Raise and catch an exception in this thread (R33).

    CPython 3.11 notes that some thread has one to raise, and forgets it when one is raised. Until
    then a function that is traced, by a debugger or for coverage, never gets past its first line.
    """
    with suppress(_TakenBack):
        # Again, because a thread that is being started has the identity of the one that starts it.
        for _ in range(_TRIES):
            _raise_in(threading.get_ident(), _TakenBack)
            sleep(0)


def _raise_in(thread_id: int, kind: type[BaseException] | None) -> None:
    exception = None if kind is None else ctypes.py_object(kind)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), exception)
