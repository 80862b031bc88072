"""How often an address may fail to log in."""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

#: So many failures are looked at within `WINDOW_SECONDS`; then the address waits.
MOST = 10
WINDOW_SECONDS = 60.0
#: So many addresses are remembered at most, those that failed last.
MOST_ADDRESSES = 10_000


class FailedLogins:
    """Counts failures by address; safe for several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def is_blocked(self, address: str) -> bool:
        """Return whether an address has failed too often to be looked at now."""
        with self._lock:
            return len(self._recent(address)) >= MOST

    def note(self, address: str) -> None:
        """Count a failure."""
        with self._lock:
            failures = self._recent(address)
            failures.append(self._clock())
            self._failures[address] = failures
            self._failures.move_to_end(address)
            while len(self._failures) > MOST_ADDRESSES:
                self._failures.popitem(last=False)

    def _recent(self, address: str) -> deque[float]:
        failures = self._failures.get(address, deque(maxlen=MOST))
        since = self._clock() - WINDOW_SECONDS
        while failures and failures[0] <= since:
            failures.popleft()
        return failures
