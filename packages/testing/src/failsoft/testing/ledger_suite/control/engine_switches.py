# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises about engines that are disabled for every process."""

from dataclasses import replace

from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.engine_switch import DisabledEngine
from failsoft.testing.ledger_suite.fixtures import FIRST, SECOND, claimed, offered, started, waiting

RQ = DisabledEngine("rq", "ada", "Redis is being moved")


class EngineSwitchPromises:
    """`disable_engine`: every process can read it, and nothing else changes."""

    def test_an_engine_is_disabled_until_it_is_enabled(self, ledger: Ledger) -> None:
        """By name; enabling it again changes nothing."""
        assert ledger.disabled_engines() == []

        ledger.disable_engine(DisabledEngine("kafka", "bob"))
        held = ledger.disable_engine(RQ)

        assert held.since is not None
        assert replace(held, since=None) == RQ
        assert [each.name for each in ledger.disabled_engines()] == ["kafka", "rq"]
        assert ledger.disabled_engines()[1] == held
        assert [ledger.enable_engine("rq") for _ in range(2)] == [True, False]
        assert [each.name for each in ledger.disabled_engines()] == ["kafka"]

    def test_the_first_actor_that_disables_an_engine_is_kept(self, ledger: Ledger) -> None:
        """Disabling it again changes nothing."""
        first = ledger.disable_engine(RQ)

        assert ledger.disable_engine(DisabledEngine("rq", "bob", "why not")) == first

    def test_what_the_engine_was_offered_before_can_be_claimed(self, ledger: Ledger) -> None:
        """Its message may be on its way to a healthy worker."""
        job = offered(ledger)
        ledger.disable_engine(DisabledEngine(str(job.engine), "ada"))

        assert claimed(ledger, job).attempt == 1

    def test_what_an_engine_still_has_is_counted(self, ledger: Ledger) -> None:
        """Offers that wait, by queue, and attempts that run; of this engine alone."""
        for queue in ("mail", "mail", "slow"):
            offered(ledger, FIRST, queue=queue)
        offered(ledger, SECOND, queue="mail")
        started(ledger)
        waiting(ledger)

        load = ledger.engine_load(FIRST)

        assert (load.waiting, load.running) == ({"mail": 2, "slow": 1}, 1)
        assert ledger.engine_load("kafka").waiting == {}

    def test_nothing_is_paused_by_it(self, ledger: Ledger) -> None:
        """Programs without this switch read pauses only."""
        ledger.disable_engine(RQ)

        assert ledger.pauses() == []
