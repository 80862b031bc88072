"""What an engine's worker calls with a message: admit it, run it, return."""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from contextvars import Context
from dataclasses import dataclass
from functools import partial

from failsoft.dispatcher.offering.bounded_caller import nothing
from failsoft.dispatcher.plugins.plugin import Delivery
from failsoft.worker.attempts.admission import Admission, Admitted
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
        self._in_slot(Admitted(wire, claimed))

    def begin(self, deliveries: Sequence[Delivery]) -> Sequence[Callable[[], None]]:
        """Claim what several messages lead to, in few transactions.

        Args:
            deliveries: The messages, each with its `claimed` and `left_code`.

        Returns:
            What processes each of them in a slot. Raises nothing, as all of this.
        """
        messages = [Admitted(each.wire, each.claimed) for each in deliveries]
        with ExitStack() as slots:
            for _ in messages:
                # Each waits in a slot of its own, which is lost if this stands still.
                slots.enter_context(self.watch.slot())
            try:
                Context().run(self.admission.claim_together, messages)
            except Exception:
                logger.exception("messages could not be claimed together; each is by itself")
        left = [each.left_code for each in deliveries]
        return [partial(self._in_slot, *each) for each in zip(messages, left, strict=True)]

    def _in_slot(self, message: Admitted, left_code: Callable[[], object] | None = None) -> None:
        with self.watch.slot() as slot:
            Context().run(self._process, message, slot, left_code)

    def _process(
        self, message: Admitted, slot: Slot, left_code: Callable[[], object] | None
    ) -> None:
        try:
            claim = message.claim
            if claim is None:
                claim = self.admission.admit(message.wire, message.claimed, message.ticket)
            if claim is not None:
                slot.move(claim)
                leave: Callable[[], object] | None = None
                # The next of a limit is not to be claimed, and deferred, before the end of this.
                if left_code is not None and not claim.is_limited:
                    leave = partial(slot.leave, left_code)
                with bound_to(claim):
                    self.runner.run(claim, leave)
                slot.move()
                if claim.is_limited:
                    self.left_room()
        except Exception:
            logger.exception("a message could not be processed")
