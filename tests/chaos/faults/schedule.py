"""Who strikes when: a lane for each part of the system, each dealing from a shuffled deck."""

import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from tests.chaos.faults.nemesis import Nemesis
from tests.deployments.effect_log import now

#: How long a lane keeps quiet between two strikes, in seconds.
SHORTEST_GAP, LONGEST_GAP = 0.3, 2.5


@dataclass(frozen=True, slots=True)
class Fired:
    """One strike of a nemesis; `detail` is None if there was nothing to hit."""

    kind: str
    detail: str | None
    began: int
    ended: int
    error: str = ""


@dataclass
class Journal:
    """What all lanes did."""

    tell: Callable[[Fired], None]
    fired: list[Fired] = field(default_factory=list)

    def note(self, fired: Fired) -> None:
        self.fired.append(fired)
        self.tell(fired)

    def by_kind(self) -> dict[str, int]:
        """Count the strikes that hit something."""
        return dict(Counter(each.kind for each in self.fired if each.detail is not None))

    def errors(self) -> list[str]:
        return [f"{each.kind}: {each.error}" for each in self.fired if each.error]


class Lane:
    """Strikes, waits, heals, waits, strikes; the whole deck before anything comes twice."""

    def __init__(self, name: str, nemeses: Sequence[Nemesis], seed: str, journal: Journal) -> None:
        self._nemeses = nemeses
        self._rng = Random(f"{seed}:{name}")
        self._journal = journal
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"chaos-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Heal what is broken and strike no more."""
        self._ending.set()

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        for nemesis in self._dealt():
            lasts = self._rng.uniform(nemesis.shortest, nemesis.longest)
            if self._ending.wait(self._rng.uniform(SHORTEST_GAP, LONGEST_GAP)):
                return
            self._journal.note(self._strike(nemesis, lasts))
            self._ending.wait(nemesis.rest)

    def _dealt(self) -> Iterator[Nemesis]:
        while True:
            yield from self._rng.sample(self._nemeses, len(self._nemeses))

    def _strike(self, nemesis: Nemesis, lasts: float) -> Fired:
        began, detail = now(), None
        # What a strike chooses must not depend on how often the others drew.
        rng = Random(self._rng.random())
        try:
            with nemesis.strike(rng) as detail:
                self._ending.wait(lasts)
        except Exception:  # noqa: BLE001 - reported; the heal afterwards is for all
            return Fired(nemesis.kind, detail, began, now(), traceback.format_exc())
        return Fired(nemesis.kind, detail, began, now())


def lanes(nemeses: Sequence[Nemesis], seed: str, journal: Journal) -> list[Lane]:
    """Make a lane for each part of the system."""
    names = sorted({nemesis.lane for nemesis in nemeses})
    return [
        Lane(name, [each for each in nemeses if each.lane == name], seed, journal) for name in names
    ]
