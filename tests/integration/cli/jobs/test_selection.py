"""Jobs are chosen by short ids and by what they have in common; each is reported."""

import pytest

from failsoft.job_engine.records.job import Conclusion
from failsoft.job_engine.records.states import HOLD, JobState
from failsoft.testing.ledger_suite.fixtures import (
    ENDINGS,
    ERROR,
    claimed,
    offered,
    started,
    waiting,
)
from failsoft.worker.exit_codes import FAILURE, OK, USAGE
from tests.integration.cli.command_line import CommandLine


def held(cli: CommandLine, job_id: str, reason: str = "in doubt") -> str:
    with cli.ledger() as ledger:
        claim = claimed(ledger, offered(ledger, id=job_id, name="add"))
        ledger.conclude(claim, Conclusion(HOLD, error=ERROR, reason=reason))
    return job_id


def waits(cli: CommandLine, job_id: str, **given: object) -> str:
    with cli.ledger() as ledger:
        return waiting(ledger, id=job_id, **given).id


def test_the_beginning_of_an_id_does_wherever_an_id_is_expected(cli: CommandLine) -> None:
    job_id = held(cli, "0a1b2c3d4e5f")
    short = job_id[:6]

    shown = cli.run("jobs", "show", short, "--json").json
    steps = cli.run("jobs", "steps", short, "--json")
    sent = cli.run("events", "send", "decision", "--job", short, "--json").json
    resolved = cli.run("jobs", "resolve", short, "--fail", "--json").json
    retried = cli.run("jobs", "retry", short, "--json").json
    again = retried["retried"][0][1]
    cancelled = cli.run("jobs", "cancel", again[:9], "--json").json

    assert shown["job"]["id"] == resolved["id"] == sent["job"] == job_id
    assert (steps.status, steps.json) == (OK, [])
    assert retried["retried"] == [[job_id, again]]
    assert cancelled["cancelled"] == {again: "cancelled"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("aaaa", "with which these begin: aaaa-1, aaaa-2; write more of it"),
        ("aaa", "expected the id of a job in the ledger"),
        ("AAAA", "expected the id of a job in the ledger"),
        ("aaaa_1", "expected the id of a job in the ledger"),
        ("%%%%", "expected the id of a job in the ledger"),
    ],
)
def test_what_no_job_or_several_may_be_meant_by_is_refused(
    cli: CommandLine, given: str, expected: str
) -> None:
    waits(cli, "aaaa-1")
    waits(cli, "aaaa-2")

    for words in (("jobs", "show"), ("jobs", "cancel"), ("events", "send", "go", "--job")):
        answer = cli.run(*words, given)

        assert (answer.status, answer.out) == (FAILURE, "")
        assert expected in answer.err
    assert cli.counts() == {JobState.SCHEDULED: 2}


def test_a_whole_id_is_not_ambiguous_although_others_begin_so(cli: CommandLine) -> None:
    for job_id in ("chain", "chain-1", "chain-2"):
        waits(cli, job_id)

    assert cli.run("jobs", "cancel", "chain", "--json").json["cancelled"] == {"chain": "cancelled"}


def test_each_of_several_is_reported_whatever_becomes_of_the_others(cli: CommandLine) -> None:
    first, last = waits(cli, "first-job"), waits(cli, "last-job")

    printed = cli.run("jobs", "cancel", first, "nosuch", last)
    again = cli.run("jobs", "cancel", "nosuch", first, "--json")

    assert printed.out.splitlines() == [f"{first} cancelled", f"{last} cancelled"]
    assert "JobNotFoundError: expected the id of a job in the ledger, got 'nosuch'" in printed.err
    assert printed.status == again.status == FAILURE
    assert again.json["cancelled"] == {first: "ended"}
    assert [each["job_id"] for each in again.json["refused"]] == ["nosuch"]


def test_jobs_are_listed_by_tag_key_and_time(cli: CommandLine) -> None:
    red = waits(cli, "red-job", tags=("red", "big"), idempotency_key="k1")
    waits(cli, "blue-job", tags=("blue",))

    def ids(*words: str) -> list[str]:
        return [job["id"] for job in cli.run("jobs", "list", "--json", *words).json]

    assert ids("--tag", "red") == ids("--key", "k1") == [red]
    assert ids("--tag", "re") == ids("--until", "1h") == ids("--since", "2999-01-01") == []
    assert len(ids("--since", "1h")) == len(ids("--since", "2001-01-01T08:00")) == 2
    assert "--since" in cli.run("jobs", "list", "--since", "soon").err
    wide = cli.run("jobs", "list", "--tag", "red", COLUMNS="200").out
    assert "red, big" in wide
    assert "k1" in wide


def test_many_are_changed_only_after_the_count_was_confirmed(cli: CommandLine) -> None:
    for number in range(3):
        waits(cli, f"job-{number}", tags=("red",))
    other = waits(cli, "other-job")

    refused = cli.run("jobs", "cancel", "--tag", "red")
    none = cli.run("jobs", "cancel", "--tag", "green", "--json")
    bare = cli.run("jobs", "cancel", "--yes")
    both = cli.run("jobs", "cancel", other, "--tag", "red", "--yes")
    done = cli.run("jobs", "cancel", "--tag", "red", "--yes", "--json")

    assert (refused.status, refused.out) == (USAGE, "")
    assert "3 open jobs are chosen; give --yes to cancel" in refused.err
    assert (none.status, none.json) == (OK, {"cancelled": {}, "refused": []})
    assert bare.status == both.status == USAGE
    assert sorted(done.json["cancelled"]) == ["job-0", "job-1", "job-2"]
    assert cli.state(other) is JobState.SCHEDULED


def test_held_jobs_are_resolved_by_what_they_are_held_for(cli: CommandLine) -> None:
    unknown, doubt = held(cli, "held-1", "unknown job"), held(cli, "held-2")

    refused = cli.run("jobs", "resolve", "--name", "add", "--retry")
    first = cli.run("jobs", "resolve", "--error", "UNKNOWN", "--retry", "--yes", "--json")
    rest = cli.run("jobs", "resolve", "--error", "no such user", "--fail", "--yes")
    several = cli.run("jobs", "resolve", unknown, doubt, "nosuch", "--fail", "--json")

    assert (refused.status, "2 held jobs are chosen" in refused.err) == (USAGE, True)
    assert first.json == {"resolved": {unknown: "scheduled"}, "refused": []}
    assert rest.out.splitlines() == [f"{doubt} is failed", "1 job resolved"]
    assert several.status == FAILURE
    assert list(several.json["resolved"]) == [doubt]
    assert [each["job_id"] for each in several.json["refused"]] == [unknown, "nosuch"]


def test_dead_letters_are_tried_again_by_tag_and_error(cli: CommandLine) -> None:
    with cli.ledger() as ledger:
        for job_id, tags in (("dead-1", ("red",)), ("dead-2", ())):
            claim = claimed(ledger, offered(ledger, id=job_id, tags=tags))
            ledger.conclude(claim, ENDINGS[JobState.FAILED])
        started(ledger)

    red = cli.run("jobs", "retry", "--tag", "red", "--yes", "--json").json
    none = cli.run("jobs", "retry", "--error", "no such thing", "--yes", "--json").json
    rest = cli.run("jobs", "retry", "--error", "no such user", "--yes", "--json").json

    assert [old for old, _ in red["retried"]] == ["dead-1"]
    assert none["retried"] == []
    assert [old for old, _ in rest["retried"]] == ["dead-2"]
