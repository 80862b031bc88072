# ruff: noqa: S101 - a conformance suite asserts
"""What the half of an engine that works promises."""

import gc
import resource
import sys
import threading
from datetime import timedelta
from functools import partial
from typing import Protocol

from failsoft.testing.engine_suite.bench import (
    DEADLINE,
    QUIET,
    EngineBench,
    ForeignMessage,
    arrived,
    eventually,
    new_message,
    offer,
    settled,
)
from failsoft.testing.engine_suite.bulk import offer_many
from failsoft.testing.engine_suite.stopwatch import Stopwatch

#: How long `is_serving` may take: it is called in the thread of the heartbeats.
AT_ONCE = timedelta(seconds=0.1)
#: How many messages a worker gets used to, and how many more must cost no memory.
FIRST, MORE, BATCH = 2_000, 8_000, 500
#: What may be left of them: objects of Python's, threads, and KiB of the process.
OBJECTS, THREADS, KIBIBYTES = 2_000, 3, 40_000


class WorkerBench(EngineBench, Protocol):
    """A bench whose worker can be stopped, and whose processor can be held up."""

    @property
    def grace(self) -> timedelta:
        """How long the worker may take to end, once no attempt runs."""
        ...

    def is_serving(self) -> bool:
        """Return what the worker says of itself."""
        ...

    def stop_worker(self) -> None:
        """Let the worker stop, and return; the next call of `ready` starts another."""
        ...

    def has_stopped(self) -> bool:
        """Return whether the worker that was to stop has ended."""
        ...

    def claim_and_die(self) -> None:
        """Start a worker in a process of its own; kill it by SIGKILL in its first attempt.

        After the time that it takes to acknowledge what was claimed.
        """
        ...

    def take_ledger_away(self) -> None:
        """Let the processor wait before each claim; it gives up where the worker stops."""
        ...

    def bring_ledger_back(self) -> None:
        """Let it claim again."""
        ...

    def deciding(self) -> int:
        """Return how many messages wait for their claim now."""
        ...

    def hold_attempts(self, first: int | None = None) -> None:
        """Let the attempts that begin from now on, or the first of them, run until `let_go`."""
        ...

    def let_go(self) -> None:
        """End the attempts that are held."""
        ...

    def running(self) -> int:
        """Return how many attempts run now."""
        ...

    def most_running(self) -> int:
        """Return how many ran at once at most."""
        ...

    def finished(self) -> int:
        """Return how many attempts have ended."""
        ...

    def keep_nothing(self) -> None:
        """Count what is delivered from now on, and keep none of it."""
        ...


class ServingPromises:
    """A worker says of itself whether it would take a message; heartbeats depend on it."""

    def test_a_worker_does_not_serve_while_its_server_is_stopped(self, bench: WorkerBench) -> None:
        """And serves again when it is back."""
        bench.ready()
        bench.stop_server()
        eventually(lambda: not bench.is_serving(), "the worker does not serve")

        bench.start_server()

        eventually(bench.is_serving, "the worker serves again")
        message = new_message()
        eventually(lambda: _is_offered(bench), "an offer is taken")
        offer(bench, message)
        assert message in arrived(bench, [message])

    def test_a_worker_does_not_serve_while_its_server_is_frozen(self, bench: WorkerBench) -> None:
        """And serves again when it goes on."""
        bench.ready()
        bench.freeze_server()
        eventually(lambda: not bench.is_serving(), "the worker does not serve")

        bench.thaw_server()

        eventually(bench.is_serving, "the worker serves again")

    def test_whether_a_worker_serves_is_said_at_once(self, bench: WorkerBench) -> None:
        """Also while it waits for a server that does not answer."""
        bench.ready()
        bench.freeze_server()

        slowest = timedelta()
        while bench.is_serving():
            slowest = max(slowest, _timed(bench))

        assert max(slowest, _timed(bench)) <= AT_ONCE


class StoppingPromises:
    """A worker that is to stop ends soon, and ends no attempt."""

    def test_a_worker_without_work_stops_soon(self, bench: WorkerBench) -> None:
        """Within the time that its process waits for it."""
        bench.ready()

        assert _stop(bench) <= bench.grace

    def test_a_worker_stops_soon_while_its_server_is_stopped(self, bench: WorkerBench) -> None:
        """There is nothing to wait for."""
        bench.ready()
        bench.stop_server()

        assert _stop(bench) <= bench.grace

    def test_a_worker_stops_soon_while_its_server_is_frozen(self, bench: WorkerBench) -> None:
        """Whatever it would say to the server, it does not wait for an answer."""
        bench.ready()
        bench.freeze_server()

        assert _stop(bench) <= bench.grace

    def test_a_worker_that_stops_waits_for_the_attempt_that_runs(self, bench: WorkerBench) -> None:
        """And takes no other message; the next worker is not given the one that was processed."""
        bench.hold_attempts()
        message, later = new_message(), new_message()
        offer(bench, message)
        bench.ready()
        eventually(lambda: bench.running() == 1, "the attempt runs")

        bench.stop_worker()
        # A message that is under way as it stops may still be taken.
        threading.Event().wait(QUIET.total_seconds())
        offer(bench, later)
        threading.Event().wait(QUIET.total_seconds())

        assert not bench.has_stopped()
        assert (bench.running(), bench.finished()) == (1, 0)
        bench.let_go()
        eventually(bench.has_stopped, "the worker has ended")
        assert bench.finished() == 1
        assert arrived(bench, [later]) == [message, later]


class SlotPromises:
    """A worker runs as many attempts side by side as it has slots."""

    def test_no_more_attempts_run_than_there_are_slots(self, bench: WorkerBench) -> None:
        """And every slot is used."""
        slots = bench.queue.slots
        messages = [new_message() for _ in range(slots + 3)]
        bench.hold_attempts()
        for each in messages:
            offer(bench, each)
        bench.ready()
        eventually(lambda: bench.running() == slots, f"{slots} attempts run")
        settled(bench)

        assert bench.most_running() == slots
        bench.let_go()
        eventually(lambda: bench.finished() == len(messages), "all of them have ended")
        assert bench.most_running() == slots

    def test_strangers_take_no_slot(self, bench: WorkerBench) -> None:
        """However many there were, every slot is free for messages of ours."""
        slots = bench.queue.slots
        strangers = 3 * slots
        for _ in range(strangers):
            bench.plant(ForeignMessage(b"garbage"))
        bench.ready()
        eventually(lambda: bench.rejected() == strangers, f"{strangers} are dropped")
        bench.hold_attempts()
        for _ in range(slots):
            offer(bench, new_message())

        eventually(lambda: bench.running() == slots, f"{slots} attempts run")

    def test_an_attempt_that_takes_long_holds_up_no_other_message(self, bench: WorkerBench) -> None:
        """Whichever the broker delivers after it, and on whichever of its partitions."""
        bench.hold_attempts(first=1)
        offer(bench, new_message())
        bench.ready()
        eventually(lambda: bench.running() == 1, "the attempt runs")
        others = [new_message() for _ in range(100)]

        answers = offer_many(bench, others)

        assert answers == [None] * len(others)
        eventually(lambda: bench.finished() == len(others), "all others have ended")
        assert bench.running() == 1

    def test_ten_thousand_messages_leave_nothing_behind(self, bench: WorkerBench) -> None:
        """Neither objects, nor threads, nor memory of the client's."""
        bench.ready()
        bench.keep_nothing()
        _work_off(bench, FIRST)
        sizes = [_size()]
        for _ in range(2):
            _work_off(bench, MORE // 2)
            sizes.append(_size())

        # What is loaded once, late, is no leak: the growth that counts is there each time.
        objects, threads, kibibytes = (
            min(second - first, third - second) for first, second, third in zip(*sizes, strict=True)
        )
        assert objects < OBJECTS
        assert threads < THREADS
        assert kibibytes < KIBIBYTES


class ClaimPromises:
    """A message is the engine's until the ledger has decided about it, and not longer."""

    def test_what_was_not_decided_when_the_worker_stopped_is_delivered_again(
        self, bench: WorkerBench
    ) -> None:
        """To the next worker, without the wait for its pickup deadline."""
        bench.take_ledger_away()
        message = new_message()
        offer(bench, message)
        bench.ready()
        eventually(lambda: bench.deciding() == 1, "the message waits for its claim")

        bench.stop_worker()
        eventually(bench.has_stopped, "the worker has ended")
        bench.bring_ledger_back()

        assert arrived(bench, [message]) == [message]

    def test_what_a_killed_worker_had_claimed_is_not_delivered_again(
        self, bench: WorkerBench
    ) -> None:
        """From the claim on its lease protects it, and the ledger hands it over."""
        offer(bench, new_message())

        bench.claim_and_die()

        assert settled(bench) == []


def _is_offered(bench: WorkerBench) -> bool:
    return offer_many(bench, [new_message()], within=DEADLINE) == [None]


def _timed(bench: WorkerBench) -> timedelta:
    with Stopwatch() as watch:
        bench.is_serving()
    return watch.elapsed


def _stop(bench: WorkerBench) -> timedelta:
    with Stopwatch() as watch:
        bench.stop_worker()
        eventually(bench.has_stopped, "the worker has ended")
    return watch.elapsed


def _work_off(bench: WorkerBench, count: int) -> None:
    for _ in range(count // BATCH):
        so_far = bench.finished()
        answers = offer_many(bench, [new_message() for _ in range(BATCH)])
        assert answers == [None] * BATCH
        eventually(partial(_have_ended, bench, so_far + BATCH), f"{BATCH} have ended")


def _have_ended(bench: WorkerBench, count: int) -> bool:
    return bench.finished() >= count


def _size() -> tuple[int, int, int]:
    gc.collect()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kibibytes = peak // 1024 if sys.platform == "darwin" else peak
    return len(gc.get_objects()), threading.active_count(), kibibytes
