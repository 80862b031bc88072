"""Raising an interrupt in a thread that runs a job's own code; best effort (R33)."""

import ctypes

from failsoft.job_engine.attempt.interrupts import Interrupt


def interrupt_thread(thread_id: int, interrupt: type[Interrupt] | None) -> None:
    """Raise an exception class in a thread, or take back one that was not yet raised.

    It is raised between two bytecodes: a call into C is not interrupted. Jobs of a queue with
    `isolation="process"` can be ended there, too.
    """
    exception = ctypes.py_object(interrupt) if interrupt is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), exception)
