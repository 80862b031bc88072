"""Closing what would wait for an answer of a broker that gives none."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress

#: How long closing a consumer or a broker's connections may take, in seconds.
CLOSE_SECONDS = 2.0


def close_in_time(close: Callable[[], object]) -> None:
    """Close, and go on after two seconds: pika waits for the heartbeat of a frozen broker (DQ-18).

    What was not closed by then ends with the process, or when the heartbeat finds the broker gone.

    Raises:
        Exception: What `close` raised in time.
    """
    closed = Future[None]()

    def run() -> None:
        try:
            close()
        except Exception as error:  # noqa: BLE001 - raised in the caller
            closed.set_exception(error)
        else:
            closed.set_result(None)

    threading.Thread(target=run, name="failsoft-close", daemon=True).start()
    with suppress(TimeoutError):
        closed.result(CLOSE_SECONDS)
