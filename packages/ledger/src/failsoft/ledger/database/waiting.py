"""Waiting for what other processes write, where the database has no notification of it."""

import time


class Pause:
    """Waits for the whole time: SQLite notifies no process of another one's commit.

    Attributes:
        is_notified: That it does not.
    """

    is_notified: bool = False

    def wait(self, seconds: float) -> bool:
        """Return False when the time is over."""
        time.sleep(seconds)
        return False

    def rest(self) -> None:
        """Do nothing: there is nothing that would be received."""

    def close(self) -> None:
        """Do nothing: nothing is open."""
