"""The half of the kit that breaks: engines, workers, leases, the ledger, processes."""

from failsoft.job_engine.crash_points import COMMITS, POINTS
from failsoft.job_engine.policies.queue import queue_profile
from failsoft.job_engine.validation import did_you_mean
from failsoft.testkit.looking import AnyHandle, Looking, id_of
from failsoft.testkit.results import FAILURES, Failure
from failsoft.testkit.traps import Trap


class Breaking(Looking):
    """What a test may break.

    A step is named by its name alone; `of` limits the break to one job.
    """

    def fail_engine(self, name: str, how: Failure = "refuse", times: int | None = None) -> None:
        """Let an engine fail, until `heal_engine` or for some offers.

        Args:
            name: The engine.
            how: `refuse`: it takes no connections. `silent`: it does not answer. `lost-reply`: it
                takes an offer, and the reply is lost. `forgets`: it takes offers and keeps none.
                `readonly`: it takes no writes. `no-workers`: as `stop_workers`.
            times: How many offers fail; all of them where it is None.

        Raises:
            AssertionError: The kit has no such engine, or there is no such failure.
        """
        self._expect_engine(name)
        if how not in FAILURES:
            raise AssertionError(f"expected one of {', '.join(FAILURES)}, got {how!r}")
        if times is not None and times < 1:
            raise AssertionError(f"expected times above 0, got {times}")
        self._world.fail_engine(name, how, times)

    def heal_engine(self, name: str) -> None:
        """Repair an engine, and start its workers again.

        Offers go to it again when it has been probed, as `travel(seconds=10)` lets happen.
        """
        self._expect_engine(name)
        self._world.heal_engine(name)

    def stop_workers(self, engine: str, queue: str | None = None) -> None:
        """Stop the workers of an engine, of one queue or of all, until `heal_engine`."""
        self._expect_engine(engine)
        if queue is not None:
            queue_profile(queue)
        self._world.stop_workers(engine, queue)

    def wipe_engine(self, name: str) -> None:
        """Let an engine lose every message that it has."""
        self._expect_engine(name)
        self._world.wipe_engine(name)

    def redeliver(self, handle: AnyHandle) -> None:
        """Let the engine deliver the newest message of a job once more.

        Raises:
            AssertionError: No engine was offered the job.
        """
        self._world.redeliver(id_of(handle))

    def die_before_step(self, name: str, *, of: AnyHandle | None = None) -> None:
        """Let the worker die that comes to a step next, before the step's body begins."""
        self._world.set_trap(Trap("die", "before", name, _id(of)))

    def die_during_step(self, name: str, *, of: AnyHandle | None = None) -> None:
        """Let the worker die in a step: its body has taken effect, and is not recorded."""
        self._world.set_trap(Trap("die", "during", name, _id(of)))

    def die_after_step(self, name: str, *, of: AnyHandle | None = None) -> None:
        """Let the worker die when a step has been recorded."""
        self._world.set_trap(Trap("die", "after", name, _id(of)))

    def cancel_during_step(self, name: str, *, of: AnyHandle | None = None) -> None:
        """Cancel the job that comes to a step next, while the step runs."""
        self._world.set_trap(Trap("cancel", "during", name, _id(of)))

    def lose_lease(self, handle: AnyHandle) -> None:
        """Let another worker take the job away: from its dead worker, or in its next attempt.

        A worker that lives is fenced then, and may record nothing more.
        """
        self._world.lose_lease(id_of(handle))

    def ledger_down(self, during: str | None = None, times: int = 1) -> None:
        """Let the ledger not answer the next calls, of one kind or of any.

        Args:
            during: One of `dispatch`, `claim`, `begin`, `step`, `conclude`, `renew`, `offer`,
                `reoffer`, `recover`, `park`, `exhaust`, `postpone`, `cancel`, `move`.
            times: How many calls.

        Raises:
            AssertionError: There is no such kind.
        """
        if during is not None and during not in COMMITS:
            raise AssertionError(
                f"expected one of {', '.join(COMMITS)}, got {during!r}"
                f"{did_you_mean(during, COMMITS)}"
            )
        self._world.ledger_down(during, times)

    def crash_at(self, point: str) -> None:
        """Let the process die that comes to a crash point next.

        That of a dispatch is the test's own: its `dispatch_job` raises `ProcessDied`.

        Args:
            point: One of `failsoft.job_engine.crash_points.POINTS`, as `conclude.before`.

        Raises:
            AssertionError: There is no such point.
        """
        if point not in POINTS:
            raise AssertionError(
                f"expected one of {', '.join(POINTS)}, got {point!r}{did_you_mean(point, POINTS)}"
            )
        self._world.crash_at(point)

    def _expect_engine(self, name: str) -> None:
        known = self._world.engines
        if name not in known:
            raise AssertionError(
                f"expected an engine of this test ({', '.join(known)}), got {name!r}"
                f"{did_you_mean(name, known)}; name others in its marker: "
                "@pytest.mark.failsoft(engines=(...))"
            )


def _id(handle: AnyHandle | None) -> str | None:
    return None if handle is None else id_of(handle)
