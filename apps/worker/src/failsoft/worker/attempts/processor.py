"""What an engine's worker calls with a message: admit it, run it, return."""

import logging
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass

from failsoft.dispatcher.offering.bounded_caller import nothing
from failsoft.worker.attempts.admission import Admission
from failsoft.worker.attempts.runners import Runner
from failsoft.worker.attempts.slot_watch import Slot, SlotWatch
from failsoft.worker.logs.output import bound_to

logger: logging.Logger = logging.getLogger("failsoft.worker")


@dataclass(frozen=True, slots=True)
class Processor:
    """Processes the messages of a worker, the same way for every engine.

    Attributes:
        admission: Returns the claim of a message.
        runner: Runs the attempt.
        left_room: Called when an attempt of a limited job is over: another may begin (I12).
        watch: Detects slots that stand still.
    """

    admission: Admission
    runner: Runner
    left_room: Callable[[], object]
    watch: SlotWatch

    def __call__(self, wire: object, claimed: Callable[[], object] = nothing) -> None:
        """Process a message; the job's failure is recorded in the ledger, not in the engine.

        Args:
            wire: The message.
            claimed: Called as soon as the ledger has decided about the message: from then on the
                engine need not keep it.

        Raises nothing: an engine would end the slot, or deliver the message again. An unexpected
        error is logged, and the job goes on when its lease or its pickup deadline has passed.

        Each message has a `contextvars.Context` of its own: no job sees what another one set.
        """
        with self.watch.slot() as slot:
            Context().run(self._process, wire, claimed, slot)

    def _process(self, wire: object, claimed: Callable[[], object], slot: Slot) -> None:
        try:
            claim = self.admission.admit(wire, claimed)
            if claim is not None:
                slot.move(claim)
                with bound_to(claim):
                    self.runner.run(claim)
                slot.move()
                if claim.is_limited:
                    self.left_room()
        except Exception:
            logger.exception("a message could not be processed")
