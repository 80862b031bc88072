# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises to those that read its lists page by page."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, cast

from failsoft.job_engine.errors import OptionInvalidError
from failsoft.job_engine.ports.console import (
    MOST_OF_A_LINE,
    MOST_ON_A_PAGE,
    Count,
    JobSummary,
    Page,
)
from failsoft.job_engine.ports.job_filter import JobFilter
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.follow_ups import FollowUps
from failsoft.job_engine.records.groups import GroupRecord
from failsoft.job_engine.records.job import Conclusion, DispatchTry, TryOutcome
from failsoft.job_engine.records.states import FAIL, JobState
from failsoft.testing.ledger_suite.fixtures import (
    FAILURE,
    FIRST,
    LONG,
    MOMENT,
    SECOND,
    PassTime,
    claimed,
    ended,
    new_job,
    offered,
    plan,
    raises,
    reoffered,
    started,
    waiting,
)

BAD_FILTERS: Sequence[dict[str, Any]] = (
    {"colour": "red"},
    {"states": ["lost"]},
    {"id": "abc"},
    {"id": "abc%"},
    {"id": "ab\0c"},
    {"id": "abc\ud800"},
    {"id": "' OR 1=1 --"},
    {"queue": ""},
    {"queue": "a\0b"},
    {"name": "x" * 256},
    {"tag": 7},
    {"since": "yesterday"},
    {"payload": "7"},
)


def walked(read: Callable[[str | None], Page[Any]]) -> list[Any]:
    """Read a list page by page to its end."""
    items: list[Any] = []
    page = read(None)
    items += page.items
    while page.after is not None:
        page = read(page.after)
        items += page.items
    return items


def ids(page: Page[JobSummary]) -> list[str]:
    """Return the ids of a page."""
    return [each.id for each in page.items]


class JobListPromises:
    """`find`, `count`, `tally`, `known`, `records` and `groups`."""

    def test_a_list_is_read_page_by_page_and_has_each_job_once(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """The newest first, whatever is recorded meanwhile."""
        jobs = []
        for _ in range(7):
            jobs.append(offered(ledger).id)
            pass_time(MOMENT)
        first = ledger.find({}, limit=3)
        offered(ledger)

        rest = walked(lambda after: ledger.find({}, after or first.after, limit=3))

        assert ids(first) + [each.id for each in rest] == jobs[::-1]

    def test_jobs_of_one_moment_are_all_on_the_pages(self, ledger: Ledger) -> None:
        """Ties are decided by the id."""
        made = {offered(ledger).id for _ in range(5)}

        found = walked(lambda after: ledger.find({}, after, limit=1))

        assert len(found) == len(made)
        assert {each.id for each in found} == made

    def test_failed_jobs_come_in_the_order_of_their_ends(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """And `since` compares when they failed."""
        first, second = started(ledger), started(ledger)
        pass_time(MOMENT)
        ledger.conclude(second, FAILURE)
        pass_time(MOMENT)
        ledger.conclude(first, FAILURE)
        ended_at = ledger.get(first.job_id).finished_at
        failed: JobFilter = {"states": [JobState.FAILED]}

        page = ledger.find(failed, limit=1)

        assert ids(page) == [first.job_id]
        assert ids(ledger.find(failed, page.after, limit=1)) == [second.job_id]
        assert ids(ledger.find({**failed, "since": ended_at})) == [first.job_id]
        assert ids(ledger.find({**failed, "until": ended_at})) == [second.job_id]

    def test_a_filter_chooses_by_every_field_at_once(self, ledger: Ledger) -> None:
        """Where a field has several values, by any of them."""
        mail = offered(ledger, queue="mail", name="send", tags=("red",), idempotency_key="k")
        sync = offered(ledger, SECOND, queue="sync", name="copy", payload='{"file": "a.csv"}')
        wait = waiting(ledger, queue="mail", name="copy")

        def found(**wanted: Any) -> set[str]:
            listed = walked(lambda after: ledger.find(cast("JobFilter", wanted), after, limit=1))
            assert ledger.count(cast("JobFilter", wanted)) == Count(len(listed))
            return {each.id for each in listed}

        assert found(queue="mail") == {mail.id, wait.id}
        assert found(queue=["mail", "sync"]) == {mail.id, sync.id, wait.id}
        assert found(queue="mail", name=["copy", "send"]) == {mail.id, wait.id}
        assert found(name="copy", states=[JobState.OFFERED]) == {sync.id}
        assert found(states=[JobState.OFFERED, JobState.SCHEDULED], name="copy") == {
            sync.id,
            wait.id,
        }
        assert found(engine=SECOND) == {sync.id}
        assert found(tag="red") == found(key="k") == found(key="k", name="send") == {mail.id}
        assert found(name="copy", payload="a.csv") == {sync.id}
        assert found(id=mail.id[:8]) == {mail.id}
        assert found(id=mail.id, queue="sync") == set()
        assert found(queue="nowhere") == found(name="nothing") == set()

    def test_a_filter_chooses_by_attempts_errors_and_relations(self, ledger: Ledger) -> None:
        """The worker of any attempt, the type of the last error, the job that was invoked by."""
        failed = started(ledger, worker="w-1")
        started(ledger, worker="w-2")
        ledger.conclude(failed, FAILURE)

        def found(**wanted: Any) -> list[str]:
            return ids(ledger.find(cast("JobFilter", wanted)))

        assert found(worker="w-1") == found(error_type="ValueError") == [failed.job_id]
        assert found(error_type="Value") == found(worker="w-") == []
        assert found(origin=failed.job_id) == found(parent=failed.job_id) == []

    def test_the_jobs_of_a_group_are_found_in_their_order(self, ledger: Ledger) -> None:
        """And no other job whose id begins so."""
        counted = FollowUps(group="g").text
        members = [new_job(id=f"g-{place}", follow_ups=counted) for place in range(3)]
        ledger.record_group(GroupRecord("g", "5ad1", "all_ended", sealed=True), None, members)
        offered(ledger, id="g-1x")

        found = walked(lambda after: ledger.find({"group": "g"}, after, limit=2))

        assert [each.id for each in found] == ["g-0", "g-1", "g-2"]
        assert [each.id for each in ledger.groups().items] == ["g"]

    def test_the_beginning_of_an_id_is_taken_as_it_is_written(self, ledger: Ledger) -> None:
        """`_` stands for itself, and capitals are other letters."""
        for job_id in ("ab_21", "ab_22", "abc21", "AB_21"):
            offered(ledger, id=job_id)

        assert ids(ledger.find({"id": "ab_2"})) == ["ab_21", "ab_22"]

    def test_what_no_filter_can_be_is_refused(self, ledger: Ledger) -> None:
        """By `find` and by `count` alike, before anything is read."""
        for wanted in BAD_FILTERS:
            bad = cast("JobFilter", wanted)
            assert raises(OptionInvalidError, partial(ledger.find, bad)), wanted
            assert raises(OptionInvalidError, partial(ledger.count, bad)), wanted

    def test_a_text_of_the_payload_needs_a_name_or_a_short_span(self, ledger: Ledger) -> None:
        """Of 24 hours at most."""
        job = offered(ledger, payload='{"user_id": 4711}')
        since, day = job.created_at, timedelta(hours=24)
        short: JobFilter = {"payload": "4711", "since": since, "until": since + day}
        long: JobFilter = {**short, "until": since + day + MOMENT}

        assert ids(ledger.find(short)) == [job.id]
        assert raises(OptionInvalidError, lambda: ledger.find(long))
        assert raises(OptionInvalidError, lambda: ledger.find({"payload": "47", "since": since}))

    def test_a_cursor_is_of_its_list_alone(self, ledger: Ledger) -> None:
        """One of another filter, and one that was edited, is refused."""
        made = [offered(ledger) for _ in range(3)]
        after = ledger.find({}, limit=1).after
        assert after is not None
        edited = after[:-1] + ("A" if after[-1] != "A" else "B")
        of_another = ledger.find({"queue": "default"}, limit=1).after

        for cursor in (edited, of_another, "", "x", "\0", "é", after * 20, after[1:]):
            assert raises(OptionInvalidError, partial(ledger.find, {}, cursor))
        assert len(ids(ledger.find({}, after))) == len(made) - 1

    def test_a_page_has_from_one_job_to_the_most(self, ledger: Ledger) -> None:
        """Another limit is refused, and never changed."""
        for limit in (0, -1, MOST_ON_A_PAGE + 1, 10**9):
            assert raises(OptionInvalidError, partial(ledger.find, {}, limit=limit))
            assert raises(OptionInvalidError, partial(ledger.audits, limit=limit))
        assert not ledger.find({}, limit=MOST_ON_A_PAGE).items

    def test_a_summary_says_where_a_job_was_first(self, ledger: Ledger) -> None:
        """The engine that took its first offer, and not one that refused it."""
        job = offered(ledger)
        refused = DispatchTry("zeroth", 1, "offer", TryOutcome.REFUSED)
        ledger.note_tries([(job.id, refused)])
        ledger.note_tries([(job.id, DispatchTry(FIRST, 1, "offer", TryOutcome.ACCEPTED))])
        again = reoffered(ledger, job.id, SECOND)
        ledger.note_tries([(job.id, DispatchTry(SECOND, 2, "offer", TryOutcome.ACCEPTED))])
        claimed(ledger, again)

        (found,) = ledger.find({}).items

        assert (found.first_engine, found.engine, found.handoffs) == (FIRST, SECOND, 1)
        assert (found.state, found.claims, found.error_type) == (JobState.RUNNING, 1, None)

    def test_a_count_stops_at_its_most(self, ledger: Ledger) -> None:
        """And says that there may be more."""
        for _ in range(3):
            offered(ledger)

        assert ledger.count({}, most=2) == Count(2, is_least=True)
        assert ledger.count({}, most=3) == Count(3)

    def test_records_are_whole_jobs_in_the_order_given(self, ledger: Ledger) -> None:
        """Without those that are gone."""
        one, two = offered(ledger), offered(ledger)

        assert list(ledger.records([two.id, "gone", one.id])) == [two, one]
        assert list(ledger.records([])) == []

    def test_a_tally_counts_what_has_not_ended_and_what_has_failed(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """By queue, engine and state, with what waits the longest."""
        first = offered(ledger)
        pass_time(MOMENT)
        offered(ledger)
        waiting(ledger, LONG, queue="mail")
        due = waiting(ledger, MOMENT, queue="sync")
        ended(ledger, JobState.FAILED)
        ended(ledger, JobState.SUCCEEDED)
        started(ledger)
        pass_time(2 * MOMENT)

        found = {(t.queue, t.engine, str(t.state)): (t.count, t.oldest_due) for t in ledger.tally()}

        assert found["default", FIRST, "offered"] == (2, first.created_at)
        assert found["mail", None, "scheduled"] == (1, None)
        assert found["sync", None, "scheduled"] == (1, due.run_at)
        assert found["default", FIRST, "running"] == (1, None)
        assert found["default", FIRST, "failed"][0] == 1
        assert {state for _, _, state in found} == {"offered", "scheduled", "running", "failed"}

    def test_dead_letters_are_grouped_by_what_they_failed_with(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """By definition, type and first line; those of the most jobs first, with their newest."""
        long = 'é\U0001f600"\\' * 100
        texts = ("no user 7\nat line 1", "no user 7\nat line 2", "no user 8", long)
        claims = []
        for text in texts:
            claims.append(started(ledger))
            error = ErrorRecord("app.NoUser", text, "Traceback: " + "x" * 5_000)
            ledger.conclude(claims[-1], Conclusion(FAIL, error=error))
            pass_time(MOMENT)
        ended(ledger, JobState.SUCCEEDED)

        found = ledger.causes()

        first, *others = found.items
        jobs = [ledger.get(claim.job_id) for claim in claims]
        assert (first.error_type, first.line, first.count) == ("app.NoUser", "no user 7", 2)
        assert (first.newest, first.last) == (jobs[1].id, jobs[1].finished_at)
        assert (first.first, set(first.engines)) == (jobs[0].finished_at, {FIRST})
        assert {(each.line, each.count) for each in others} == {
            ("no user 8", 1),
            (long[:MOST_OF_A_LINE], 1),
        }
        assert (found.jobs, found.is_least) == (4, False)

    def test_chains_are_listed_by_their_first_jobs(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """The newest first, page by page; neither their other jobs nor jobs that are alone."""
        for chain in ("old", "mid", "new"):
            jobs = [
                new_job(id=f"{chain}-0", follow_ups=f'{{"then": {{"job_id": "{chain}-1"}}}}'),
                new_job(id=f"{chain}-1", waits_for=f"{chain}-0"),
            ]
            ledger.record_chain(jobs, plan())
            pass_time(MOMENT)
        offered(ledger, id="alone-0")

        found = walked(lambda after: ledger.chains(after, 2))

        assert [each.id for each in found] == ["new-0", "mid-0", "old-0"]
        assert not ledger.chains(limit=3).after
        other = ledger.find({}, limit=1).after
        assert raises(OptionInvalidError, lambda: ledger.chains(other))

    def test_the_names_that_jobs_have_are_known(self, ledger: Ledger) -> None:
        """Each once, in its order."""
        for queue, name in (("b", "two"), ("a", "one"), ("a", "two")):
            offered(ledger, queue=queue, name=name)

        known = ledger.known()

        assert (list(known.queues), list(known.names)) == (["a", "b"], ["one", "two"])
