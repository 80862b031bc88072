"""Whose a broker's namespace is: two ledgers with one would take each other's messages."""

import threading
from dataclasses import dataclass

from failsoft.job_engine.clock import Clock, Deadline
from failsoft.job_engine.errors import EngineRefusedError, NamespaceTakenError
from failsoft.job_engine.ports.engine import Claiming, EngineAdapter, OwnedEngineAdapter, Owner

#: How long a broker's answer counts, in seconds.
MARK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Seen:
    owner: Owner
    at: float


class Owners:
    """Which of the engines' namespaces belong to this ledger.

    A broker is read at the first offer and once a minute after that, so that its mark comes back
    if it loses its data. Where it has no answer, the messages' signatures alone keep two ledgers
    apart. For a ledger without an id nothing is read.
    """

    def __init__(self, ledger_id: str | None, clock: Clock) -> None:
        self._ledger_id = ledger_id
        self._clock = clock
        self._seen: dict[str, _Seen] = {}
        self._lock = threading.Lock()

    def expect_ours(self, adapter: EngineAdapter, deadline: Deadline) -> None:
        """Refuse to offer where another ledger's workers would take the message.

        Raises:
            EngineRefusedError: The namespace is another ledger's.
            EngineError: The broker did not answer.
        """
        if not self.is_known(adapter) and self.look(adapter, deadline, "if_free") is Owner.ANOTHER:
            raise EngineRefusedError(taken(adapter.name))

    def is_known(self, adapter: EngineAdapter) -> bool:
        """Return whether nothing is to be read of the broker before an offer."""
        if self._ledger_id is None:
            return True
        seen = self._seen.get(adapter.name)
        return (
            seen is not None
            and seen.owner in (Owner.OURS, Owner.UNKNOWN)
            and self._clock.steady() - seen.at < MARK_SECONDS
        )

    def look(self, adapter: EngineAdapter, deadline: Deadline, claiming: Claiming) -> Owner:
        """Read from a broker whose the namespace is.

        Raises:
            EngineError: The broker did not answer.
        """
        if self._ledger_id is None or not isinstance(adapter, OwnedEngineAdapter):
            owner = Owner.UNKNOWN
        else:
            owner = adapter.owner(self._ledger_id, deadline, claiming)
        with self._lock:
            self._seen[adapter.name] = _Seen(owner, self._clock.steady())
        return owner


def taken(engine: str) -> str:
    """Return the message for a namespace that is another ledger's."""
    return (
        f"expected a namespace of this ledger's on the broker of {engine}, got another ledger's; "
        "set FAILSOFT_NAMESPACE to one of its own, or run `failsoft ledger take-over` if this "
        "ledger has taken the other one's place"
    )


def refusal(engine: str) -> NamespaceTakenError:
    """Return the error for a namespace that is another ledger's."""
    return NamespaceTakenError(taken(engine))
