"""Many tasks of which exactly one runs at any moment; a seed decides which, and when it stops.

A task is a thread only because our code must be left in the middle of a call and found there
again. None runs before it is handed the baton, so a seed is one run, always the same.
"""

import random
import threading
import zlib
from collections.abc import Callable
from datetime import timedelta

from failsoft.job_engine.attempt.interrupts import Interrupt
from failsoft.testing import FrozenClock

#: What a moment costs at the most, in microseconds.
_MOMENT = 2000
#: The share of moments after which the same task goes on.
_GOES_ON = 0.4


class Killed(BaseException):
    """The process is dead; nothing that it still tries has an effect."""


class Process:
    """What dies and freezes as one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_dead = False
        self.frozen_until = 0.0


class Task:
    """Something that a process does beside others."""

    def __init__(self, process: Process, name: str, body: Callable[[], None]) -> None:
        self.process = process
        self.name = f"{process.name}/{name}"
        self.body = body
        self.wakes_at = 0.0
        self.interrupt: type[Interrupt] | None = None
        self.baton = threading.Lock()
        self.baton.acquire()
        self.thread = threading.Thread(target=lambda: None)

    def is_ready_at(self) -> float:
        """Return when it can go on; the dead need no time to end."""
        if self.process.is_dead:
            return 0.0
        return max(self.wakes_at, self.process.frozen_until)


class TaskScheduler:
    """Runs one task at a time, and lets time pass when none is ready.

    Attributes:
        moments: How often the baton could be handed on.
        failures: What tasks raised that should not have.
    """

    def __init__(self, rng: random.Random, clock: FrozenClock) -> None:
        self.clock = clock
        self.moments = 0
        self.failures: list[str] = []
        self._rng = rng
        self._tasks: list[Task] = []
        self._running: Task | None = None
        self._finished: Callable[[], bool] = lambda: False
        self._main = threading.Lock()
        self._main.acquire()
        self._digest = 0

    @property
    def digest(self) -> int:
        """Return a number that distinguishes runs."""
        return self._digest

    def current(self) -> Task:
        """Return the task that has the baton."""
        assert self._running is not None
        return self._running

    def spawn(self, process: Process, name: str, body: Callable[[], None]) -> None:
        """Begin something when its turn comes."""
        task = Task(process, name, body)
        task.thread = threading.Thread(target=self._live, args=(task,), daemon=True)
        self._tasks.append(task)
        task.thread.start()

    def run(self, finished: Callable[[], bool]) -> None:
        """Let all tasks go on until it is finished, or none is left."""
        self._finished = finished
        self._hand_on(None)

    def end(self) -> None:
        """End every task."""
        for task in self._tasks:
            task.process.is_dead = True
        threads = [task.thread for task in self._tasks]
        self.run(lambda: False)
        for thread in threads:
            thread.join()

    def moment(self) -> None:
        """Let others go on, for as long as they like, before this task does."""
        self._wait_until(0.0)

    def sleep(self, seconds: float) -> None:
        """Let so much time pass for this task."""
        self._wait_until(self.clock.steady() + max(0.0, seconds))

    def starve(self, process: Process, hogs: str, busy: float, longer: float) -> None:
        """Let tasks of a name that begins so be busy, and no other of their process run longer."""
        now = self.clock.steady()
        for task in (each for each in self._tasks if each.process is process):
            is_hog = task.name.startswith(f"{process.name}/{hogs}")
            task.wakes_at = max(task.wakes_at, now + (busy if is_hog else busy + longer))

    def interrupt(self, thread_id: int, interrupt: type[Interrupt] | None) -> None:
        """Let the task of a thread raise this at its next moment, or nothing any more."""
        for task in self._tasks:
            if task.thread.ident == thread_id:
                task.interrupt = interrupt

    def _wait_until(self, wakes_at: float) -> None:
        task = self.current()
        if task.process.is_dead:
            raise Killed
        task.wakes_at = wakes_at
        self._hand_on(task)
        if task.process.is_dead:
            raise Killed
        interrupt, task.interrupt = task.interrupt, None
        if interrupt is not None:
            raise interrupt

    def _hand_on(self, task: Task | None) -> None:
        """Hand the baton to the next task, and wait for it."""
        following = self._next(task)
        if following is task and task is not None:
            return
        self._running = following
        (following.baton if following else self._main).release()
        if task is None:
            self._main.acquire()
        elif task in self._tasks:
            task.baton.acquire()

    def _next(self, task: Task | None) -> Task | None:
        self.moments += 1
        self.clock.advance(timedelta(microseconds=self._rng.randrange(_MOMENT)))
        if self._finished() or not self._tasks:
            return None
        now = self.clock.steady()
        if task in self._tasks and task.is_ready_at() <= now and self._rng.random() < _GOES_ON:
            return task
        # Read once: of all that a run does, this takes most of the time.
        times = [each.is_ready_at() for each in self._tasks]
        then = now
        if (soon := min(times)) > now:
            # A microsecond more, lest a rounding leave it short of the moment.
            self.clock.sleep(soon - now + 1e-6)
            then = self.clock.steady()
        chosen = self._rng.choice([self._tasks[n] for n, at in enumerate(times) if at <= then])
        self._digest = zlib.crc32(f"{chosen.name}@{now}".encode(), self._digest)
        return chosen

    def _live(self, task: Task) -> None:
        task.baton.acquire()
        try:
            if not task.process.is_dead:
                task.body()
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 - reported by the run, not by the thread
            self.failures.append(f"{task.name} raised {error!r}")
        finally:
            self._tasks.remove(task)
            self._hand_on(task)
