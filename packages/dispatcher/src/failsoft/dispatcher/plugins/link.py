"""The connection of one worker to its broker, and the log lines when it is lost and back."""

import logging
import time

from failsoft.job_engine.values.redaction import redacted

logger: logging.Logger = logging.getLogger("failsoft.worker")


class Link:
    """Whether a worker's broker answers.

    Args:
        broker: The broker's kind and address, as an operator recognizes it.

    Attributes:
        is_up: Whether the broker answered the last time.
    """

    def __init__(self, broker: str) -> None:
        self.is_up: bool = False
        self._broker = redacted(broker)
        self._lost_at: float | None = None

    def lost(self, reason: object) -> None:
        """Note that the broker does not answer; the first time is a line of the log."""
        self.is_up = False
        if self._lost_at is None:
            self._lost_at = time.monotonic()
            logger.warning(
                "%s is lost: %s; the worker waits, and takes jobs again when it is back",
                self._broker,
                reason,
                extra={"broker": self._broker},
            )

    def answered(self) -> None:
        """Note that the broker answers; the first time after an outage is a line of the log."""
        self.is_up = True
        if self._lost_at is not None:
            lasted, self._lost_at = time.monotonic() - self._lost_at, None
            logger.warning(
                "%s is back after %.0f s; the worker takes jobs again",
                self._broker,
                lasted,
                extra={"broker": self._broker, "outage_s": round(lasted, 1)},
            )
