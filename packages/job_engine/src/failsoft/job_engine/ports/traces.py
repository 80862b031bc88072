"""The port by which an attempt leaves its trace for the attempt after it."""

from dataclasses import dataclass
from typing import Protocol

from failsoft.job_engine.records.job import Claim


@dataclass(frozen=True, slots=True)
class AttemptTrace:
    """The trace of an attempt that is over.

    Attributes:
        context: What `trace_context.kept` made of it.
        outcome: The name of the transition that ended the attempt.
    """

    context: str
    outcome: str | None


class TraceLedger(Protocol):
    """The ledger as an attempt needs it that is traced."""

    def note_trace(self, claim: Claim, context: str) -> AttemptTrace | None:
        """Keep the trace of an attempt, and return that of the newest one before it.

        It needs no fence and gives no authority: a trace stands with its own attempt only.

        Args:
            claim: The attempt's authority.
            context: What `trace_context.kept` made of its trace.

        Returns:
            None if there was no attempt before, or if that one was not traced.
        """
        ...
