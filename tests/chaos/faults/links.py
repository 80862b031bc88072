"""What befalls connections: each goes through a proxy that delays, swallows, cuts and resets."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from random import Random

from tests.chaos.faults.nemesis import Nemesis, Strike
from tests.chaos.system.topology import Topology
from tests.chaos.workload.queues import LEASE
from tests.servers.proxy import Direction, TcpProxy

LANE = "links"
SECONDS = LEASE.total_seconds()

FAULTS: Mapping[str, Callable[[TcpProxy, Random], None]] = {
    "delay": lambda link, rng: link.delay(rng.uniform(0.05, 0.6)),
    "swallow all": lambda link, rng: link.blackhole(),
    "swallow replies": lambda link, rng: link.swallow_replies(),
    "refuse": lambda link, rng: link.refuse(),
    "reset": lambda link, rng: link.reset(),
    "half-open": lambda link, rng: link.half_open(),
    "cut requests": lambda link, rng: link.cut_after(rng.randrange(2000), Direction.TO_SERVER),
    "cut replies": lambda link, rng: link.cut_after(rng.randrange(2000), Direction.TO_CLIENT),
}


class LinksFaults:
    """The misfortunes of the links of a topology; for each kind, any process and any server."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology

    def all(self) -> Sequence[Nemesis]:
        return [
            Nemesis(f"link: {kind}", LANE, self._hit(fault), 0.5, 3)
            for kind, fault in FAULTS.items()
        ] + self._silences()

    def _silences(self) -> list[Nemesis]:
        """A ledger that takes what it is sent and never answers, for longer than a lease."""
        if self._topology.servers.postgres is None:
            return []
        kind = "link: a ledger that is silent for longer than a lease"
        return [Nemesis(kind, LANE, self._silent_ledger, 1.5 * SECONDS, 3.5 * SECONDS)]

    @contextmanager
    def _silent_ledger(self, rng: Random) -> Iterator[str]:
        actor = self._topology.any_actor(rng)
        links = [link for name, link in actor.links.items() if "ledger" in name]
        for link in links:
            link.swallow_replies()
        try:
            yield f"{actor.name} to ledger"
        finally:
            for link in links:
                link.heal()

    def _hit(self, fault: Callable[[TcpProxy, Random], None]) -> Strike:
        @contextmanager
        def strike(rng: Random) -> Iterator[str | None]:
            actor = self._topology.any_actor(rng)
            server = rng.choice(sorted(actor.links))
            link = actor.links[server]
            fault(link, rng)
            try:
                yield f"{actor.name} to {server}"
            finally:
                link.heal()

        return strike
