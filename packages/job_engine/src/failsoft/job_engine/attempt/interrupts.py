"""The signals that end an attempt without being errors.

They derive from `BaseException`, so that an `except Exception` in a job's own code
cannot swallow them: a job that was fenced must stop, whatever it catches.
"""

from datetime import datetime, timedelta

from failsoft.job_engine.records.job import StepRecord
from failsoft.job_engine.records.new_job import NewJob
from failsoft.job_engine.records.waits import Wait


class Interrupt(BaseException):
    """End this attempt now; the executor decides what to record, if anything."""


class Suspended(Interrupt):
    """The job sleeps: the ledger holds it until it is due, and no worker does.

    Attributes:
        wait: What wakes it before its time.
        child: A job to record with it.
    """

    wait: Wait | None = None
    child: NewJob | None = None

    def __init__(self, step: StepRecord, delay: timedelta, run_at: datetime | None) -> None:
        super().__init__(f"sleeps: {step.name}")
        self.step = step
        self.delay = delay
        self.run_at = run_at


class Fenced(Interrupt):
    """Another attempt has the authority now; this one may record nothing (rule 7)."""


class CutOff(Interrupt):
    """The ledger did not renew the lease for most of it; the claim is given back later (R18)."""


class _WithCause(Interrupt):
    """An interrupt that an error is the reason for.

    Attributes:
        cause: The error.
    """

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class LedgerRefused(_WithCause):
    """The ledger refused a call of the attempt, which is no fault of the job's."""


class CancelRequested(Interrupt):
    """The job was cancelled while it ran; no further step begins (I9)."""


class Released(Interrupt):
    """The worker is stopping and gives the job back at a step boundary."""


class TimedOut(Interrupt):
    """The attempt's time is up."""


class StepTimedOut(Interrupt):
    """The time of one step is up; it becomes an error of that step."""


class HoldRequested(_WithCause):
    """The job must wait for a person; going on could repeat or lose work."""
