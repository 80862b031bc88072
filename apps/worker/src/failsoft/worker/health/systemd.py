"""The notifications of a unit of `Type=notify`: one datagram each, to a socket of systemd's.

Nothing is sent where no such socket is named. See sd_notify(3).
"""

import logging
import socket
from collections.abc import Mapping

logger: logging.Logger = logging.getLogger("failsoft.supervisor")


class Systemd:
    """Sends notifications to the service manager, if there is one.

    Args:
        environment: Where it has named its socket.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        name = environment.get("NOTIFY_SOCKET", "")
        # An abstract socket's name begins with a zero byte, which no variable can hold.
        self._address = "\0" + name[1:] if name.startswith("@") else name

    def notify(self, *assignments: str) -> None:
        """Send assignments as `READY=1`."""
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            # A manager that is busy does not hold the supervisor up; the next one follows.
            connection.setblocking(False)
            try:
                connection.sendto("\n".join(assignments).encode(), self._address)
            except OSError as error:
                logger.debug("systemd was not notified: %s", error)
