"""What an engine's worker calls with a message: admit it, run it, return."""

import logging
from collections.abc import Callable
from contextvars import Context

from failsoft.dispatcher.offering.bounded_caller import nothing
from failsoft.worker.attempts.admission import Admission
from failsoft.worker.attempts.runners import Runner
from failsoft.worker.attempts.slot_watch import Slot, SlotWatch
from failsoft.worker.logs.output import bound_to

logger: logging.Logger = logging.getLogger("failsoft.worker")


class Processor:
    """The one door from an engine back into the core, the same for all of them."""

    def __init__(
        self,
        admission: Admission,
        runner: Runner,
        left_room: Callable[[], object],
        watch: SlotWatch,
    ) -> None:
        """Serve one worker process.

        Args:
            admission: What makes a claim of a message.
            runner: What runs the attempt.
            left_room: Called when an attempt is over that may leave room to another job (I12).
            watch: Sees whether the slots move.
        """
        self._admission = admission
        self._runner = runner
        self._left_room = left_room
        self._watch = watch

    def __call__(self, wire: object, claimed: Callable[[], object] = nothing) -> None:
        """Process a message; a job's failure is the ledger's business, not the engine's.

        Args:
            wire: The message.
            claimed: Called as soon as the ledger has decided about the message: from then on the
                engine need not keep it.

        Raises nothing: an engine would end the slot, or deliver the message again. What nobody
        foresaw is logged, and the job goes on when its lease or its pickup deadline has passed.

        Each has a `contextvars.Context` of its own: no job sees what another one set.
        """
        with self._watch.slot() as slot:
            Context().run(self._process, wire, claimed, slot)

    def _process(self, wire: object, claimed: Callable[[], object], slot: Slot) -> None:
        try:
            claim = self._admission.admit(wire, claimed)
            if claim is not None:
                slot.move(claim)
                with bound_to(claim):
                    self._runner.run(claim)
                slot.move()
                if claim.is_limited:
                    self._left_room()
        except Exception:
            logger.exception("a message could not be processed")
