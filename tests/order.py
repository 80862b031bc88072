"""Which worker of a parallel run runs which tests, and when.

In a run of all tests a worker collects its own share of the files alone: the longest, and those of
which there are many. What takes neither long nor no time is for whoever is done first: how long a
file takes depends on what else the machine does.

    make test ARGS=--durations=0 > log; python -m tests.order log    # measure the files anew
"""

import json
import re
import sys
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pytest
from xdist.workermanage import WorkerController

ROOT = Path(__file__).parents[1]
_MEASURED = Path(__file__).with_name("seconds.json")
_DURATION = re.compile(r"([\d.]+)s (?:call|setup|teardown) +(tests/[^:]+\.py)::")
#: Files of fewer seconds are not listed, and take about so many.
SHORT, OF_SHORT = 5, 1
#: No file that is left over takes so long: it may be the last one.
LONG = 60
#: Folders whose tests share what takes long to start: the files of each remain together.
TOGETHER = ("tests/features/", "tests/browser/")
#: Of how many tests a worker has to know beside the one that it runs.
AHEAD = 2

#: About how many seconds the files take that take long, on two cores. The figures decide how
#: evenly a run is divided, and nothing else.
SECONDS: Mapping[str, int] = MappingProxyType(json.loads(_MEASURED.read_text()))


def is_left_over(file: str) -> bool:
    """Return whether a file is for whoever is done first."""
    return SECONDS.get(file, LONG) < LONG and not file.startswith(TOGETHER)


def shares(workers: int) -> list[list[str]]:
    """Divide the files that are not left over, the long ones of each worker first.

    Short ones remain in the order of their folders.
    """
    tests = (ROOT / "tests").rglob("test_*.py")
    files = sorted(str(each.relative_to(ROOT)) for each in tests)
    pieces: dict[str, list[str]] = defaultdict(list)
    for file in files:
        if not is_left_over(file):
            folder = next((each for each in TOGETHER if file.startswith(each)), None)
            pieces[folder or file].append(file)
    taken = {piece: sum(map(_seconds, of)) for piece, of in pieces.items()}
    found: list[list[str]] = [[] for _ in range(workers)]
    loads = [0] * workers
    for piece in sorted(pieces, key=lambda piece: (-taken[piece], piece)):
        if taken[piece] > OF_SHORT:
            least = loads.index(min(loads))
            found[least] += pieces.pop(piece)
            loads[least] += taken[piece]
    short = deque(pieces)
    full = max(*loads, (sum(loads) + OF_SHORT * len(short)) / workers)
    for share, load in zip(found, loads, strict=True):
        many = round((full - load) / OF_SHORT)
        share.extend(short.popleft() for _ in range(min(many, len(short))))
    found[-1].extend(short)
    return found


def _seconds(file: str) -> int:
    return SECONDS.get(file, OF_SHORT)


class Shares:
    """A scheduler of xdist's for workers that have collected different tests.

    Each runs what it alone has, then files that all have, one after the other, as long as there
    are any.
    """

    def __init__(self, config: pytest.Config, workers: int) -> None:
        self.config = config
        self.collection_is_completed = False
        self._has_begun = False
        self._workers = workers
        self._collected: dict[WorkerController, Sequence[str]] = {}
        self._pending: dict[WorkerController, list[int]] = {}
        self._left_over: deque[str] = deque()

    @property
    def nodes(self) -> list[WorkerController]:
        return list(self._pending)

    @property
    def has_pending(self) -> bool:
        return any(self._pending.values())

    @property
    def tests_finished(self) -> bool:
        is_over = self.collection_is_completed and not self._left_over
        return is_over and all(len(each) < AHEAD for each in self._pending.values())

    def add_node(self, node: WorkerController) -> None:
        self._pending[node] = []

    def add_node_collection(self, node: WorkerController, collection: Sequence[str]) -> None:
        if self.collection_is_completed:
            # In the place of one that died, whose tests it has not collected.
            node.shutdown()
            return
        self._collected[node] = collection
        self.collection_is_completed = len(self._collected) == self._workers

    def schedule(self) -> None:
        """Let all begin; what dies later fails the run, and is not replaced."""
        if self._has_begun:
            return
        self._has_begun = True
        every = list(self._collected.values())
        counted = Counter(file_of(test) for test in set().union(*every))
        self._left_over.extend(
            sorted(filter(is_left_over, counted), key=lambda file: (-SECONDS[file], file))
        )
        self.config.stash[SESSION].testscollected = counted.total()
        for node, collected in self._collected.items():
            own = [n for n, test in enumerate(collected) if not is_left_over(file_of(test))]
            self._send(node, own)
            self._go_on(node)

    def mark_test_complete(
        self, node: WorkerController, item_index: int, duration: float = 0
    ) -> None:
        self._pending[node].remove(item_index)
        self._go_on(node)

    def mark_test_pending(self, item: str) -> None:
        raise NotImplementedError

    def remove_pending_tests_from_node(
        self, node: WorkerController, indices: Sequence[int]
    ) -> None:
        raise NotImplementedError

    def remove_node(self, node: WorkerController) -> str | None:
        pending = self._pending.pop(node)
        return self._collected[node][pending[0]] if pending else None

    def _go_on(self, node: WorkerController) -> None:
        while len(self._pending[node]) <= AHEAD and self._left_over:
            file = self._left_over.popleft()
            collected = enumerate(self._collected[node])
            self._send(node, [n for n, test in collected if file_of(test) == file])
        if not self._left_over and not node.shutting_down:
            # Nothing comes after what it has: it may end its fixtures with the last one.
            node.shutdown()

    def _send(self, node: WorkerController, tests: list[int]) -> None:
        self._pending[node] += tests
        if tests:
            node.send_runtest_some(tests)


#: The controller's session; its count of tests is that of all workers.
SESSION = pytest.StashKey[pytest.Session]()


def in_order(items: Iterable[pytest.Item], share: Sequence[str]) -> list[pytest.Item]:
    """Return tests with those of a share first, in its order."""
    places = {file: place for place, file in enumerate(share)}
    return sorted(items, key=lambda item: places.get(file_of(item.nodeid), len(places)))


def file_of(test: str) -> str:
    """Return the file of a test, by its id."""
    return test.partition("::")[0]


def _measured(lines: Iterable[str]) -> Iterator[tuple[str, int]]:
    taken: dict[str, float] = defaultdict(float)
    for found in filter(None, map(_DURATION.match, lines)):
        taken[found[2]] += float(found[1])
    for file, seconds in sorted(taken.items()):
        if seconds >= SHORT:
            yield file, round(seconds)


if __name__ == "__main__":
    measured = dict(_measured(Path(sys.argv[1]).read_text().splitlines()))
    _MEASURED.write_text(json.dumps(measured, indent=2) + "\n")
