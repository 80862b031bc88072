"""Results of actors, read from the ledger by the names that Dramatiq has for it."""

from datetime import timedelta
from typing import Any

from dramatiq import Message
from dramatiq.results import ResultBackend, ResultFailure, ResultMissing, ResultTimeout
from dramatiq.results.backend import DEFAULT_TIMEOUT

from failsoft.adoption.dramatiq.call import dramatiq_actor
from failsoft.api import (
    JobCancelledError,
    JobFailedError,
    JobNotFoundError,
    ResultTimeoutError,
    default_dispatcher,
)


class LedgerResults(ResultBackend):
    """The results of messages: those of the jobs that have their ids."""

    def get_result(
        self, message: Message[Any], *, block: bool = False, timeout: int | None = None
    ) -> Any:
        """Return what an actor returned.

        Args:
            message: The message that was sent to it.
            block: Whether to wait for it.
            timeout: How long, in milliseconds.

        Raises:
            ResultMissing: It has not ended, or there is no such job.
            ResultTimeout: It has not ended in time.
            ResultFailure: It failed, or was cancelled.
        """
        try:
            handle = default_dispatcher().handle(dramatiq_actor, message.message_id)
            if not block and not handle.status().is_terminal:
                raise ResultMissing(message)
            limit = DEFAULT_TIMEOUT if timeout is None else timeout
            return handle.result(timedelta(milliseconds=max(1, limit)))
        except JobNotFoundError as error:
            raise ResultMissing(message) from error
        except ResultTimeoutError as error:
            raise ResultTimeout(message) from error
        except JobFailedError as error:
            raise ResultFailure(str(error), error.error_type) from error
        except JobCancelledError as error:
            raise ResultFailure(str(error), type(error).__name__) from error
