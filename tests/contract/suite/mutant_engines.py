"""Engines that break one promise each: the engine over a folder, with one thing wrong."""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from failsoft.engine_api import (
    BoundedCaller,
    Caller,
    Deadline,
    DirectCaller,
    Engine,
    EngineError,
    EngineHealth,
    EngineSite,
    EngineUnavailableError,
    EngineWorker,
    Message,
    MessageRejectedError,
    OfferUncertainError,
    QueueProfile,
    WorkerPost,
    to_body,
)
from failsoft.testing import EngineSuite, WorkerSuite
from failsoft.testing.engine_kit import PluginBench
from failsoft_engine_file.adapter import FileEngine, put, waiting
from failsoft_engine_file.bench import BreakableFolder, FileBench
from failsoft_engine_file.plugin import FilePlugin
from failsoft_engine_file.settings import FileSettings
from failsoft_engine_file.worker import FileWorker

Site = EngineSite[FileSettings]


def _size(path: Path) -> int:
    """Return the size of a message; 0 where another slot has processed it by now."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


class Mutant(FilePlugin):
    """The plug-in of a mutant.

    Attributes:
        promise: The promise that it breaks.
        suite: The promise's suite.
        is_slow: Whether finding it takes long.
    """

    promise: ClassVar[str]
    suite: ClassVar[type] = EngineSuite
    is_slow: ClassVar[bool] = False
    Adapter: ClassVar[Callable[[Site], FileEngine]] = FileEngine
    Worker: ClassVar[Callable[[Site, WorkerPost], FileWorker]] = FileWorker

    def build(self, site: Site) -> Engine:
        return Engine(type(self).Adapter(site), self.caller(site))

    def build_worker(self, site: Site, post: WorkerPost) -> EngineWorker:
        return type(self).Worker(site, post)

    def caller(self, site: Site) -> Caller:
        return BoundedCaller(site.name, threads=8)


class MutantBench(FileBench):
    """A bench of a mutant; its end waits for no worker that does not stop."""

    def __init__(self, folder: Path, plugin: Mutant) -> None:
        server = BreakableFolder(folder / "messages")
        PluginBench.__init__(self, plugin, server, folder=str(server.folder))

    def close(self) -> None:
        if isinstance(self._worker, IgnoresStop.Worker):
            self._worker.may_end.set()
        super().close()


class LosesOneInTen(Mutant):
    promise = "test_each_of_many_offers_is_delivered"

    class Adapter(FileEngine):
        offers = 0

        def offer(self, message: Message, queue: QueueProfile, deadline: Deadline) -> None:
            self.offers += 1
            if self.offers % 10:
                super().offer(message, queue, deadline)


class AnswersLate(Mutant):
    promise = "test_an_offer_to_a_frozen_server_fails_in_time"

    class Adapter(FileEngine):
        def offer(self, message: Message, queue: QueueProfile, deadline: Deadline) -> None:
            super().offer(message, queue, replace(deadline, at=deadline.at + 1))

    def caller(self, site: Site) -> Caller:
        return DirectCaller()


class AcknowledgesBeforeStoring(Mutant):
    promise = "test_an_offer_to_a_stopped_server_fails_in_time"

    class Adapter(FileEngine):
        def offer(self, message: Message, queue: QueueProfile, deadline: Deadline) -> None:
            threading.Thread(target=self._store, args=(message, queue, deadline)).start()

        def _store(self, *offer: Any) -> None:
            with suppress(EngineError):  # it said that the message is there
                super().offer(*offer)


class DeliversTwice(Mutant):
    promise = "test_what_was_processed_is_not_delivered_again"

    class Worker(FileWorker):
        def __init__(self, site: Site, post: WorkerPost) -> None:
            folder, seen = site.settings.folder / site.queue_name(post.queue), set[str]()

            def process(wire: Any, claimed: Callable[[], object] = ...) -> None:  # type: ignore[assignment]
                if wire["mac"] not in seen:
                    seen.add(wire["mac"])
                    put(folder, to_body(Message.from_wire(wire)))
                post.process(wire, claimed)

            super().__init__(site, replace(post, process=process))


class SwallowsStrangers(Mutant):
    promise = "test_garbage_is_dropped_and_counted"

    class Worker(FileWorker):
        def __init__(self, site: Site, post: WorkerPost) -> None:
            super().__init__(site, replace(post, reject=lambda error: None))


class EndsOfWhatItCannotRead(Mutant):
    promise = "test_what_is_too_large_or_too_deep_is_dropped_and_counted"

    class Worker(FileWorker):
        def run(self, stopping: threading.Event) -> None:
            with suppress(MessageRejectedError):  # its loop has ended, by what it could not read
                super().run(stopping)

        def _take(self, path: Path) -> bool:
            if _size(path) > 1000:
                raise MessageRejectedError("expected a message, got a file that is too large")
            return super()._take(path)


class CountsStrangersTwice(Mutant):
    promise = "test_many_foreign_messages_do_not_stop_the_worker"

    class Worker(FileWorker):
        def __init__(self, site: Site, post: WorkerPost) -> None:
            def reject(error: MessageRejectedError) -> None:
                post.reject(error)
                post.reject(error)

            super().__init__(site, replace(post, reject=reject))


class ExceedsItsSlots(Mutant):
    promise = "test_no_more_attempts_run_than_there_are_slots"
    suite = WorkerSuite

    class Worker(FileWorker):
        def __init__(self, site: Site, post: WorkerPost) -> None:
            super().__init__(site, replace(post, slots=post.slots + 1))


class LeavesASlotFree(Mutant):
    promise = "test_no_more_attempts_run_than_there_are_slots"
    suite = WorkerSuite

    class Worker(FileWorker):
        def __init__(self, site: Site, post: WorkerPost) -> None:
            super().__init__(site, replace(post, slots=post.slots - 1))


class GivesSlotsToStrangers(Mutant):
    promise = "test_strangers_take_no_slot"
    suite = WorkerSuite

    class Worker(FileWorker):
        def _take(self, path: Path) -> bool:
            is_ours = not 0 < _size(path) <= 50
            taken = super()._take(path)
            if taken and not is_ours:
                self._slots.reserve(0.01)
            return taken


class WorksOneByOne(Mutant):
    promise = "test_an_attempt_that_takes_long_holds_up_no_other_message"
    suite = WorkerSuite

    class Worker(FileWorker):
        def __init__(self, site: Site, post: WorkerPost) -> None:
            super().__init__(site, replace(post, slots=1))


class IgnoresStop(Mutant):
    promise = "test_a_worker_without_work_stops_soon"
    suite = WorkerSuite

    class Worker(FileWorker):
        may_end: threading.Event

        def run(self, stopping: threading.Event) -> None:
            self.may_end = threading.Event()
            super().run(self.may_end)


class WaitsForAnAnswerAtItsEnd(Mutant):
    promise = "test_a_worker_stops_soon_while_its_server_is_frozen"
    suite = WorkerSuite

    class Worker(FileWorker):
        def run(self, stopping: threading.Event) -> None:
            super().run(stopping)
            if self._folder.exists():
                with (self._folder / ".lock").open("ab") as lock:
                    fcntl.flock(lock, fcntl.LOCK_SH)


class WaitsForItsServerAtItsEnd(Mutant):
    promise = "test_a_worker_stops_soon_while_its_server_is_stopped"
    suite = WorkerSuite

    class Worker(FileWorker):
        def run(self, stopping: threading.Event) -> None:
            super().run(stopping)
            while not self._folder.exists():
                time.sleep(0.01)


class LeavesItsAttempts(Mutant):
    promise = "test_a_worker_that_stops_waits_for_the_attempt_that_runs"
    suite = WorkerSuite

    class Worker(FileWorker):
        def run(self, stopping: threading.Event) -> None:
            threading.Thread(target=super().run, args=(stopping,), daemon=True).start()
            stopping.wait()


class ServesWhileAway(Mutant):
    promise = "test_a_worker_does_not_serve_while_its_server_is_stopped"
    suite = WorkerSuite

    class Worker(FileWorker):
        def is_serving(self) -> bool:
            return True


class ServesWhileFrozen(Mutant):
    promise = "test_a_worker_does_not_serve_while_its_server_is_frozen"
    suite = WorkerSuite

    class Worker(FileWorker):
        def is_serving(self) -> bool:
            return self._folder.exists()


class NeverServesAgain(Mutant):
    promise = "test_a_worker_does_not_serve_while_its_server_is_stopped"
    suite = WorkerSuite

    class Worker(FileWorker):
        was_away = False

        def is_serving(self) -> bool:
            self.was_away = self.was_away or not self._folder.exists()
            return super().is_serving() and not self.was_away


class AsksItsServerWhetherItServes(Mutant):
    promise = "test_whether_a_worker_serves_is_said_at_once"
    suite = WorkerSuite

    class Worker(FileWorker):
        def is_serving(self) -> bool:
            if super().is_serving():
                return True
            time.sleep(0.5)
            return False


class AcknowledgesAtTheEnd(Mutant):
    promise = "test_what_a_killed_worker_had_claimed_is_not_delivered_again"
    suite = WorkerSuite

    class Worker(FileWorker):
        def __init__(self, site: Site, post: WorkerPost) -> None:
            def process(wire: object, claimed: Callable[[], object] = ...) -> None:  # type: ignore[assignment]
                decided = list[None]()
                post.process(wire, lambda: decided.append(None))
                if decided:
                    claimed()

            super().__init__(site, replace(post, process=process))


class AcknowledgesBeforeTheClaim(Mutant):
    promise = "test_what_was_not_decided_when_the_worker_stopped_is_delivered_again"
    suite = WorkerSuite

    class Worker(FileWorker):
        def __init__(self, site: Site, post: WorkerPost) -> None:
            def process(wire: object, claimed: Callable[[], object] = ...) -> None:  # type: ignore[assignment]
                claimed()
                post.process(wire)

            super().__init__(site, replace(post, process=process))


class LeaksAnObjectPerMessage(Mutant):
    promise = "test_ten_thousand_messages_leave_nothing_behind"
    suite = WorkerSuite
    is_slow = True

    class Worker(FileWorker):
        def __init__(self, site: Site, post: WorkerPost) -> None:
            self.kept = list[list[Path]]()
            super().__init__(site, post)

        def _take(self, path: Path) -> bool:
            self.kept.append([path])
            return super()._take(path)


class LeaksAThreadPerThousand(Mutant):
    promise = "test_ten_thousand_messages_leave_nothing_behind"
    suite = WorkerSuite
    is_slow = True

    class Worker(FileWorker):
        taken = 0

        def _take(self, path: Path) -> bool:
            self.taken += 1
            if self.taken % 1000 == 0:
                threading.Thread(target=threading.Event().wait, daemon=True).start()
            return super()._take(path)


class RetriesByItself(Mutant):
    promise = "test_a_message_whose_processor_raised_is_not_delivered_again"

    class Worker(FileWorker):
        def __init__(self, site: Site, post: WorkerPost) -> None:
            folder = site.settings.folder / site.queue_name(post.queue)

            def process(wire: object, claimed: Callable[[], object] = ...) -> None:  # type: ignore[assignment]
                try:
                    post.process(wire, claimed)
                except RuntimeError:
                    put(folder, to_body(Message.from_wire(wire)))
                    raise

            super().__init__(site, replace(post, process=process))


class DropsWhatItHasSeen(Mutant):
    promise = "test_an_offer_that_was_processed_may_be_made_again"

    class Adapter(FileEngine):
        def __init__(self, site: Site) -> None:
            self.seen = set[Message]()
            super().__init__(site)

        def offer(self, message: Message, queue: QueueProfile, deadline: Deadline) -> None:
            if message not in self.seen:
                super().offer(message, queue, deadline)
            self.seen.add(message)


class DropsOlderEpochs(Mutant):
    promise = "test_every_epoch_of_a_job_is_an_offer_of_its_own"

    class Adapter(FileEngine):
        def offer(self, message: Message, queue: QueueProfile, deadline: Deadline) -> None:
            for path in waiting(self._folder_of(queue)):
                if message.job_id in path.read_text():
                    path.unlink()
            super().offer(message, queue, deadline)


class CutsLongNames(Mutant):
    promise = "test_the_longest_message_is_delivered_as_it_was_sent"

    class Adapter(FileEngine):
        def offer(self, message: Message, queue: QueueProfile, deadline: Deadline) -> None:
            super().offer(replace(message, job_id=message.job_id[:32]), queue, deadline)


class HasOneQueueForAll(Mutant):
    promise = "test_an_offer_to_another_queue_is_not_delivered_here"

    class Adapter(FileEngine):
        def _folder_of(self, queue: QueueProfile) -> Path:
            return self._site.settings.folder / "bench-bench"


class IsNotForThreads(Mutant):
    promise = "test_offers_from_many_threads_are_all_delivered"

    class Adapter(FileEngine):
        buffer = b""

        def offer(self, message: Message, queue: QueueProfile, deadline: Deadline) -> None:
            self.buffer = to_body(message)
            time.sleep(0.02)
            put(self._folder_of(queue), self.buffer)


class IsNotForForks(Mutant):
    promise = "test_a_forked_child_offers_over_a_connection_of_its_own"

    class Adapter(FileEngine):
        def __init__(self, site: Site) -> None:
            self.pid = os.getpid()
            super().__init__(site)

        def offer(self, message: Message, queue: QueueProfile, deadline: Deadline) -> None:
            if os.getpid() == self.pid:
                super().offer(message, queue, deadline)


class LosesTheLastOfMany(Mutant):
    promise = "test_each_of_many_offers_made_at_once_is_delivered_once"

    class Adapter(FileEngine):
        def offer_many(
            self, messages: Sequence[Message], queue: QueueProfile, deadline: Deadline
        ) -> Sequence[EngineError | None]:
            for message in messages[:-1]:
                self.offer(message, queue, deadline)
            return [None] * len(messages)


class PingsInsteadOfWriting(Mutant):
    promise = "test_a_probe_of_a_stopped_server_is_not_healthy"

    class Adapter(FileEngine):
        def probe(self, queue: QueueProfile, deadline: Deadline) -> EngineHealth:
            return EngineHealth(True, "there is a file system")


class ProbesWithAMessage(Mutant):
    promise = "test_a_probe_finds_a_healthy_engine"

    class Adapter(FileEngine):
        def probe(self, queue: QueueProfile, deadline: Deadline) -> EngineHealth:
            self.offer(Message(1, "probe", 1, "kid", "0" * 64), queue, deadline)
            return EngineHealth(True, "it takes messages")


class CountsNothing(Mutant):
    promise = "test_a_probe_counts_what_waits"

    class Adapter(FileEngine):
        def probe(self, queue: QueueProfile, deadline: Deadline) -> EngineHealth:
            return replace(super().probe(queue, deadline), backlog=0)


class NeverGetsWell(Mutant):
    promise = "test_a_probe_is_healthy_again_after_a_restart"

    class Adapter(FileEngine):
        was_ill = False

        def probe(self, queue: QueueProfile, deadline: Deadline) -> EngineHealth:
            found = super().probe(queue, deadline)
            self.was_ill = self.was_ill or not found.healthy
            return replace(found, healthy=not self.was_ill)


class HoldsEverything(Mutant):
    promise = "test_an_engine_reports_what_it_holds_or_that_it_is_unknown"

    class Adapter(FileEngine):
        def holds(self, message: Message, queue: QueueProfile, deadline: Deadline) -> bool:
            return True


class WithdrawsAll(Mutant):
    promise = "test_a_withdrawn_offer_takes_no_other_with_it"

    class Adapter(FileEngine):
        def withdraw(self, message: Message, queue: QueueProfile) -> None:
            for path in waiting(self._folder_of(queue)):
                path.unlink()


class WithdrawsOrRaises(Mutant):
    promise = "test_withdrawing_from_a_stopped_server_never_raises"

    class Adapter(FileEngine):
        def withdraw(self, message: Message, queue: QueueProfile) -> None:
            if not self._site.settings.folder.exists():
                raise EngineUnavailableError("there is nothing to withdraw from")


class IsNeverCertain(Mutant):
    promise = "test_an_offer_that_was_never_sent_is_known_not_to_have_arrived"

    class Adapter(FileEngine):
        def offer(self, message: Message, queue: QueueProfile, deadline: Deadline) -> None:
            try:
                super().offer(message, queue, deadline)
            except EngineUnavailableError as error:
                raise OfferUncertainError(str(error)) from error


class GivesUpForGood(Mutant):
    promise = "test_offers_are_taken_again_after_a_restart"

    class Adapter(FileEngine):
        failed: EngineError | None = None

        def offer(self, message: Message, queue: QueueProfile, deadline: Deadline) -> None:
            if self.failed is not None:
                raise self.failed
            try:
                super().offer(message, queue, deadline)
            except EngineError as error:
                self.failed = error
                raise


class StaysFrozen(Mutant):
    promise = "test_offers_are_taken_again_after_a_freeze"

    class Adapter(FileEngine):
        is_frozen = False

        def offer(self, message: Message, queue: QueueProfile, deadline: Deadline) -> None:
            if self.is_frozen:
                raise EngineUnavailableError("it was frozen a while ago")
            self.is_frozen = True
            super().offer(message, queue, deadline)
            # An offer that came back too late may have been taken meanwhile.
            self.is_frozen = deadline.passed


def mutants() -> Mapping[str, type[Mutant]]:
    """Return every mutant by its name."""
    return {each.__name__: each for each in Mutant.__subclasses__()}
