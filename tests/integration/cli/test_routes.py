"""Routes are set, explained and guarded from the command line, and live processes follow."""

import re
import secrets
import shlex
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from failsoft.job_engine import JobState, declare_job
from failsoft.job_engine.records.routing.guard import Guard, Trip
from failsoft.job_engine.records.routing.rule import RouteRule, choice
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.exit_codes import FAILURE, OK, USAGE
from failsoft.worker.wiring import App, build
from tests.integration.cli.command_line import CommandLine
from tests.servers.processes import wait_until

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "how-to" / "route.md"
WEIGHTS = {"rq": 80, "dramatiq": 20}
#: Within which a guard must have found an engine whose attempts fail, in seconds.
BAR = 60

BRITTLE = '''
"""A job that fails where the worker says so."""

import os

from pydantic import BaseModel

from failsoft.job_engine import JobContext, RetryPolicy, job


class Nothing(BaseModel):
    pass


@job(name="brittle", retry=RetryPolicy(max_attempts=1))
def brittle(payload: Nothing, ctx: JobContext) -> None:
    if os.environ.get("SHOP_IS_BROKEN"):
        raise RuntimeError("this host cannot do it")
'''


class Nothing(BaseModel):
    pass


brittle = declare_job("brittle", payload=Nothing)


@contextmanager
def built_app(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """A program that dispatches, beside the commands."""
    for name, value in cli.env.items():
        monkeypatch.setenv(name, value)
    with closing(build(load_settings(), lambda _: None)) as app:
        yield app


def test_a_route_is_set_listed_and_cleared(cli: CommandLine) -> None:
    said = cli.run("routes", "set", "--queue", "threads", "--to", "rq=80,dramatiq=20")
    as_json = cli.run(
        *("routes", "set", "default", "--to", "dramatiq=1", "--for", "1h", "--json"),
        *("--reason", "a [bold]try[/]"),
    ).json
    listed = cli.run("routes", "list")
    documents = cli.run("routes", "list", "--json").json

    assert said.out.startswith("route of queue threads to rq=80,dramatiq=20, by ")
    assert (as_json["kind"], as_json["shares"], as_json["guard"]) == (
        "default",
        {"dramatiq": 1},
        None,
    )
    assert as_json["until"] > as_json["since"]
    # What strangers wrote is shown as it is, and is no markup.
    assert "[bold]try[/]" in cli.run("routes", "list", COLUMNS="200").out
    assert "queue threads" in listed.out
    assert [each["kind"] for each in documents] == ["queue", "default"]
    assert cli.run("routes", "clear", "default", "--json").json["was_set"] is True
    again = cli.run("routes", "clear", "default")
    assert (again.status, again.out.strip()) == (OK, "route of default was not set")


@pytest.mark.parametrize(
    ("words", "status", "expected"),
    [
        (("--to", "rq=80"), USAGE, "expected one of default, --job, --tag or --queue, got none"),
        (("default", "--tag", "eu", "--to", "rq=1"), USAGE, "got several"),
        (("default", "--to", "rq"), USAGE, "expected weights as NAME=80,OTHER=20"),
        (("default", "--to", "rq=80,rq=20"), USAGE, "each engine once"),
        (("default", "--to", "rq=0"), USAGE, "expected a weight above zero"),
        (("default", "--to", "rqq=1"), USAGE, "did you mean 'rq'?"),
        (("default", "--to", "rq=1", "--guard", "failures=5%"), USAGE, "name the engine first"),
        (("default", "--to", "rq=1", "--guard", "errors=5%"), USAGE, "a guard as failures=5%"),
        (("default", "--to", "rq=1", "--guard", "failures=many"), USAGE, "in percent"),
        (("default", "--to", "rq=8,dramatiq=2", "--guard", "failures=100%"), USAGE, "below 1"),
        (("--queue", "thread", "--to", "rq=1"), FAILURE, "did you mean 'threads'?"),
        (("--job", "ad", "--to", "rq=1"), FAILURE, "did you mean 'add'?"),
    ],
)
def test_a_route_that_cannot_be_is_refused_and_nothing_is_stored(
    cli: CommandLine, words: tuple[str, ...], status: int, expected: str
) -> None:
    refused = cli.run("routes", "set", *words)

    assert (refused.status, refused.out) == (status, "")
    assert expected in refused.err
    with cli.ledger() as ledger:
        assert ledger.routes() == []


def test_explain_names_the_route_and_its_choice(cli: CommandLine) -> None:
    cli.run("routes", "set", "--job", "add", "--to", "rq=80,dramatiq=20", "--reason", "a try")
    job_id = str(cli.run("dispatch", "add", '{"numbers": [1]}', "--json").json["id"])
    own = ("--engine", "rq")
    pinned = str(cli.run("dispatch", "add", '{"numbers": [1]}', *own, "--json").json["id"])

    text = cli.run("routes", "explain", job_id, COLUMNS="200")
    found = cli.run("routes", "explain", job_id, "--json").json
    of_its_own = cli.run("routes", "explain", pinned, COLUMNS="200")

    chosen = choice(job_id, WEIGHTS)
    assert "route of job add to rq=80,dramatiq=20" in text.out
    assert f"{chosen}, by the job's id and rq=80,dramatiq=20" in text.out
    assert (found["route"]["name"], found["choice"], found["order"][0]) == ("add", chosen, chosen)
    assert found["offers"][0]["engine"] == chosen
    assert found["offers"][0]["reason"] == "route of job add"
    assert "none: the job names its engines, rq" in of_its_own.out
    cli.run("routes", "clear", "--job", "add")
    assert "the preference is rq, dramatiq" in cli.run("routes", "explain", job_id).out
    assert cli.run("routes", "explain", "no-such-job").status == FAILURE


def test_a_share_that_was_taken_away_is_told_with_the_way_back(cli: CommandLine) -> None:
    with cli.ledger() as ledger:
        rule = RouteRule("default", "", WEIGHTS, "ada", guard=Guard())
        reason = f"12 failed; set it again with `{rule.command()}`"
        ledger.trip_route(ledger.set_route(rule), Trip("dramatiq", reason))

    listed = cli.run("routes", "list")
    checks = cli.run("doctor", "--json").json["checks"]
    again = cli.run(*rule.command().split()[1:], "--json").json

    (found,) = [each for each in checks if each["check"] == "route"]
    assert "dramatiq has no share by the route of default: 12 failed" in listed.out
    assert (found["level"], found["remedy"]) == ("warning", rule.command())
    # Set again so soon, it comes back in five minutes.
    assert again["shares"] == {"rq": 80, "dramatiq": 0}
    assert again["trips"][0]["until"]


def test_an_engine_is_drained_and_what_waits_there_moves(live_cli: CommandLine) -> None:
    made = [live_cli.run("dispatch", "add", '{"numbers": [1]}', "--json").json for _ in range(2)]
    assert {job["engine"] for job in made} == {"rq"}

    drained = live_cli.run("engines", "drain", "rq", "--move-waiting", "--json").json
    live_cli.start("worker", "dramatiq", "--queue", "threads")

    assert (drained["waiting"], drained["running"], drained["moves"]) == ({"threads": 2}, 0, True)
    assert drained["disabled"]["name"] == "rq"
    for job in made:
        live_cli.wait_for_state(job["id"], JobState.SUCCEEDED)
    with live_cli.ledger() as ledger:
        for job in made:
            (moved,) = [e for e in ledger.events(job["id"]) if e.kind == "reoffer"]
            assert (moved.detail["engine"], moved.epoch) == ("dramatiq", 2)
            assert moved.detail["reason"] == "its engine gets no offers"
    assert "gets offers again" in live_cli.run("engines", "resume", "rq").out
    assert "was not paused or disabled" in live_cli.run("engines", "resume", "rq").out


def test_nothing_begins_on_a_paused_engine(live_cli: CommandLine) -> None:
    job = live_cli.run("dispatch", "add", '{"numbers": [1]}', "--engine", "rq", "--json").json
    paused = live_cli.run("engines", "pause", "rq", "--reason", "its host is moved")
    live_cli.start("worker", "rq", "--queue", "threads")
    live_cli.wait_for_workers(1)
    rows = live_cli.run("engines", "--json").json
    shown = live_cli.run("jobs", "show", job["id"], "--json").json
    examined = live_cli.run("doctor", "--json").out

    assert "engine rq paused by" in paused.out
    assert {row["engine"]: bool(row["disabled"]) for row in rows} == {"rq": True, "dramatiq": False}
    assert shown["paused"]["reason"] == "its host is moved"
    assert "failsoft engines resume rq" in examined
    assert live_cli.state(job["id"]) in (JobState.OFFERED, JobState.SCHEDULED)
    assert live_cli.run("engines", "resume", "rq", "--json").json["was_paused"] is True
    live_cli.wait_for_state(job["id"], JobState.SUCCEEDED)


@pytest.mark.long
def test_a_guard_takes_a_share_away_in_real_processes(
    live_cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    live_cli.write_jobs(BRITTLE)
    live_cli.start("worker", "rq", "--queue", "default")
    live_cli.start("worker", "dramatiq", "--queue", "default", SHOP_IS_BROKEN="yes")
    live_cli.wait_for_workers(2)
    guarded = ("--guard", "failures=5%")
    live_cli.run("routes", "set", "default", "--to", "rq=50,dramatiq=50", *guarded)

    with built_app(live_cli, monkeypatch) as app:
        app.dispatcher.dispatch_many(brittle, [Nothing() for _ in range(160)])
        rule = wait_until(lambda: tripped(app), BAR, "the share is taken away")
        # Read once a second.
        wait_until(lambda: goes_to(app) == {"rq"}, 10, "no job goes to dramatiq first")

    (trip,) = rule.trips
    assert trip.engine == "dramatiq"
    assert "set it again with `failsoft routes set default --to rq=50,dramatiq=50" in trip.reason
    assert rule.shares() == {"rq": 50, "dramatiq": 0}


def tripped(app: App) -> Any:
    (rule,) = app.ledger.routes()
    return rule if rule.trips else None


def goes_to(app: App) -> set[str]:
    jobs = [app.dispatcher.dispatch(brittle, Nothing()).job() for _ in range(20)]
    return {app.router.route(job).order[0] for job in jobs}


def test_the_page_does_what_it_prints(live_cli: CommandLine) -> None:
    job_id = f"job-{secrets.token_hex(4)}"
    live_cli.run("dispatch", "add", '{"numbers": [1]}', "--job-id", job_id)

    for command, expected in commands_of_the_page():
        words = command.replace("JOB_ID", job_id)
        answer = live_cli.run(*shlex.split(words), COLUMNS="200")

        assert answer.status == OK, f"{words}\n{answer.err}"
        for line in expected:
            pattern = ".*".join(map(re.escape, line.split("…")))
            assert re.search(f"^{pattern}", answer.out, re.MULTILINE), f"{words}\n{answer.out}"


def commands_of_the_page() -> Iterator[tuple[str, list[str]]]:
    """The commands of the page in their order, each with the lines that it must print."""
    for block in re.findall(r"^```console\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE):
        for each in block.split("$ failsoft ")[1:]:
            command, *printed = each.strip().splitlines()
            yield command, printed
