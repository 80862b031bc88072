"""What befalls processes: killed, stopped, halted, a child of theirs killed, clocks wrong."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from random import Random

import psutil

from failsoft.job_engine.errors import LedgerUnavailableError
from tests.chaos.faults.nemesis import Nemesis, Strike
from tests.chaos.system.restarted_process import Actor
from tests.chaos.system.skew import HOUR
from tests.chaos.system.topology import PREFORKING, Topology
from tests.chaos.workload.queues import LEASE
from tests.servers.processes import wait_until

LANE = "processes"
SECONDS = LEASE.total_seconds()
#: How long, in seconds, a strike at a child waits for one.
CHILD_WITHIN = 3.0


class ProcessesFaults:
    """The misfortunes of the processes of a topology."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology

    def all(self) -> Sequence[Nemesis]:
        """Every kind; clocks are skewed where that can be built."""
        engines, roles = self._topology.engines, self._topology.roles
        return [
            *(self._kills(role) for role in roles),
            *(self._freezes(role) for role in roles),
            Nemesis("freeze shorter than a lease", LANE, self._hit(self._freeze), 0.2, 0.6),
            Nemesis("kill a child", LANE, self._kill_a_child, 0.1, 0.3),
            Nemesis("kill a forked dispatcher", LANE, self._kill_a_forked_one, 0.1, 1),
            Nemesis("terminate a worker", LANE, self._hit(self._terminate, *engines), 0, 2),
            *self._skews(),
        ]

    def _kills(self, role: str) -> Nemesis:
        return Nemesis(f"kill {role}", LANE, self._hit(self._kill, role), 0.1, SECONDS)

    def _freezes(self, role: str) -> Nemesis:
        # A lease must run out, and the rescuers see it stand still for as long again (rule 12).
        strike = self._hit(self._freeze, role)
        return Nemesis(f"freeze {role}", LANE, strike, 2.3 * SECONDS, 3.5 * SECONDS)

    def _skews(self) -> Sequence[Nemesis]:
        # Where the ledger is a file, its clock is that of the host, and a host has only one.
        around = self._topology.servers
        if around.skewer is None or around.postgres is None:
            return []
        return [Nemesis("skew a clock", LANE, self._hit(self._skew), 1.5, 4)]

    def _hit(self, do: Callable[[Actor, Random], Iterator[str | None]], *roles: str) -> Strike:
        @contextmanager
        def strike(rng: Random) -> Iterator[str | None]:
            found = [actor for role in roles for actor in self._topology.of_role(role)]
            yield from do(rng.choice(found) if found else self._topology.any_actor(rng), rng)

        return strike

    def _kill(self, actor: Actor, rng: Random) -> Iterator[str | None]:
        process, alone = actor.process, rng.random() < 0.5
        with actor.away():
            if process is None:
                yield None
                return
            process.kill(tree=not alone)
            yield f"{actor.name}{' alone' if alone else ''}"

    def _terminate(self, actor: Actor, rng: Random) -> Iterator[str | None]:
        process = actor.process
        if process is not None:
            process.terminate(30)
        yield None if process is None else actor.name

    def _freeze(self, actor: Actor, rng: Random) -> Iterator[str | None]:
        frozen: list[bool] = []
        if self._topology.servers.postgres is None:
            # Halted within a write it would halt SQLite, and with it everyone.
            with suppress(LedgerUnavailableError):
                self._topology.servers.database.write(lambda _: frozen.append(actor.freeze()))
        else:
            frozen.append(actor.freeze())
        try:
            # On a busy machine others may write for as long as it waits.
            yield actor.name if any(frozen) else None
        finally:
            actor.thaw()

    def _skew(self, actor: Actor, rng: Random) -> Iterator[str | None]:
        seconds = rng.choice((HOUR, -HOUR))
        actor.skew.set(seconds)
        try:
            yield f"{actor.name} by {seconds:+d} s"
        finally:
            actor.skew.set(0)

    @contextmanager
    def _kill_a_child(self, rng: Random) -> Iterator[str | None]:
        # A child lives as long as its attempt, most of them for less than a second.
        found: list[tuple[Actor, Sequence[psutil.Process]]] = []
        with suppress(AssertionError):
            found = wait_until(self._attempts_in_children, CHILD_WITHIN, "an attempt")
        yield _kill_one(*rng.choice(found), rng) if found else None

    def _attempts_in_children(self) -> list[tuple[Actor, Sequence[psutil.Process]]]:
        workers = [each for each in self._topology.workers if "children" in each.name]
        found = [(each, list(filter(_is_an_attempt, each.children()))) for each in workers]
        return [(actor, children) for actor, children in found if children]

    @contextmanager
    def _kill_a_forked_one(self, rng: Random) -> Iterator[str | None]:
        [actor] = [each for each in self._topology.actors if each.name == PREFORKING]
        yield _kill_one(actor, actor.children(), rng)


def _kill_one(actor: Actor, children: Sequence[psutil.Process], rng: Random) -> str | None:
    if not children:
        return None
    child = rng.choice(children)
    try:
        child.kill()
    except psutil.NoSuchProcess:
        return None  # it has just ended by itself
    return f"{child.pid} of {actor.name}"


def _is_an_attempt(process: psutil.Process) -> bool:
    # It has a group of its own, and a worker a session; the server that forks it has neither.
    try:
        return os.getsid(process.pid) != os.getpgid(process.pid) == process.pid
    except ProcessLookupError:
        return False
