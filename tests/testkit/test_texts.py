"""Bad use of the kit is told apart from a failing program, in words that say what to do."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from failsoft.api import (
    ConfigurationError,
    OptionInvalidError,
    TransactionUnsupportedError,
    dispatch_job,
    use_dispatcher,
)
from failsoft.testkit import Testkit
from failsoft.testkit.session import expect_no_dispatcher, options_of
from tests.testkit.jobs import File, Nothing, Person, import_file, nap, pay, post, send_welcome

MARCH = datetime(2026, 3, 1, tzinfo=UTC)


def text_of(raised: pytest.ExceptionInfo[BaseException]) -> str:
    return str(raised.value)


def test_a_dispatch_that_differs(failsoft: Testkit) -> None:
    dispatch_job(import_file, File())
    dispatch_job(send_welcome, Person(email="bob@example.org"), delay=timedelta(minutes=5))
    with pytest.raises(AssertionError) as raised:
        failsoft.assert_dispatched(send_welcome, email="ada@example.org", delay=None)

    assert text_of(raised) == (
        "expected 1 dispatch of send_welcome(email='ada@example.org', delay=None), got 0; "
        "dispatched, the nearest first:\n"
        "  send_welcome(email='bob@example.org'), queue default, delay 0:05:00\n"
        "    ^ email: expected 'ada@example.org', got 'bob@example.org'\n"
        "    ^ delay: expected None, got datetime.timedelta(seconds=300)\n"
        "  import_file(path='x.csv', parts=3), queue default\n"
        "    ^ job: expected send_welcome, got import_file"
    )
    failsoft.drain()


def test_a_value_of_another_type(failsoft: Testkit) -> None:
    dispatch_job(import_file, File(parts=7))
    with pytest.raises(AssertionError) as raised:
        failsoft.assert_dispatched(import_file, parts="7")

    assert "parts: expected '7', got 7 (a str and a int)" in text_of(raised)
    failsoft.drain()


def test_nothing_was_dispatched(failsoft: Testkit) -> None:
    with pytest.raises(AssertionError) as raised:
        failsoft.assert_dispatched(send_welcome, count=None)

    assert text_of(raised) == (
        "expected 1 or more dispatches of send_welcome(), got 0; nothing was dispatched"
    )


def test_a_field_that_is_none(failsoft: Testkit) -> None:
    with pytest.raises(AssertionError) as raised:
        failsoft.assert_dispatched(send_welcome, emial="ada@example.org")

    assert text_of(raised) == (
        "expected a field of Person (email) or an option of a dispatch, got 'emial'"
        "; did you mean 'email'?"
    )


def test_a_dispatch_that_should_not_be(failsoft: Testkit) -> None:
    dispatch_job(send_welcome, Person())
    with pytest.raises(AssertionError) as raised:
        failsoft.refute_dispatched(send_welcome)

    assert text_of(raised) == (
        "expected no dispatch of send_welcome(), got 1; dispatched, the nearest first:\n"
        "  send_welcome(email='ada@example.org'), queue default"
    )
    failsoft.drain()


def test_an_engine_that_is_none(failsoft: Testkit) -> None:
    with pytest.raises(AssertionError) as raised:
        failsoft.fail_engine("kafka")

    assert text_of(raised) == (
        "expected an engine of this test (rq, dramatiq), got 'kafka'; name others in its marker: "
        "@pytest.mark.failsoft(engines=(...))"
    )


@pytest.mark.parametrize("call", ["fail_engine", "ledger_down", "crash_at"])
def test_a_way_to_break_that_is_none(failsoft: Testkit, call: str) -> None:
    arguments = {"fail_engine": ("rq", "explode")}.get(call, ("explode",))
    with pytest.raises(AssertionError, match=r"expected one of .*, got 'explode'"):
        cast("Any", getattr(failsoft, call))(*arguments)


def test_engines_and_steps_that_differ(failsoft: Testkit) -> None:
    handle = dispatch_job(import_file, File(parts=1))
    failsoft.drain()

    with pytest.raises(AssertionError, match=r"run on dramatiq, got rq\njob .* import_file"):
        failsoft.assert_ran_on(handle, "dramatiq")
    with pytest.raises(AssertionError, match=r"expected steps load-2 of job .*, got load-1\n"):
        failsoft.assert_steps(handle, "load-2")
    with pytest.raises(AssertionError, match=r"to be failed, got succeeded\n"):
        failsoft.assert_state(handle, "failed")
    with pytest.raises(AssertionError, match=r"to be held, got succeeded\n"):
        failsoft.assert_held(handle)
    with pytest.raises(AssertionError, match="to be offered to no engine, got epoch 1 on rq"):
        failsoft.assert_not_offered(handle)


def test_a_reason_that_differs(failsoft: Testkit) -> None:
    handle = dispatch_job(pay, Nothing())
    failsoft.die_during_step("charge")
    failsoft.drain()
    failsoft.travel(minutes=2)
    failsoft.drain()

    with pytest.raises(
        AssertionError, match=r"to be held for 'no money', got .*StepInDoubtError: "
    ):
        failsoft.assert_held(handle, "no money")


@pytest.mark.failsoft(start=MARCH)
def test_a_job_that_waits_for_another_time(failsoft: Testkit) -> None:
    handle = dispatch_job(nap, Nothing(), delay=timedelta(hours=2))
    failsoft.assert_not_offered(handle)
    failsoft.assert_scheduled(nap, at=MARCH + timedelta(hours=2))
    failsoft.assert_scheduled(nap, within=timedelta(hours=3))

    with pytest.raises(AssertionError) as raised:
        failsoft.assert_scheduled(nap, within=timedelta(hours=1))

    assert text_of(raised) == (
        "expected one job of nap that waits for its time within 1:00:00, got 0; its jobs: "
        "scheduled 2026-03-01 02:00:00+00:00; now it is 2026-03-01 00:00:00+00:00"
    )


def test_several_jobs_of_a_definition(failsoft: Testkit) -> None:
    for _ in range(2):
        dispatch_job(send_welcome, Person())
    with pytest.raises(AssertionError, match="expected one job of send_welcome, got 2"):
        failsoft.job(send_welcome)
    failsoft.drain()


def test_a_message_that_was_never_sent(failsoft: Testkit) -> None:
    handle = dispatch_job(nap, Nothing(), delay=timedelta(hours=2))
    with pytest.raises(AssertionError, match="expected a job that an engine was offered"):
        failsoft.redeliver(handle)


def test_a_dispatcher_that_is_in_use(failsoft: Testkit) -> None:
    with pytest.raises(ConfigurationError, match=r"use_dispatcher was called by .*session\.py:\d"):
        expect_no_dispatcher()
    use_dispatcher(None)
    expect_no_dispatcher()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"mod": "manual"}, "expected options of failsoft .*, got 'mod'; did you mean 'mode'"),
        ({"mode": "eager"}, "expected mode to be one of manual, inline, real, got 'eager'"),
        (
            {"ledger": "sqlite"},
            "expected ledger in mode 'manual' to be one of memory, got 'sqlite'",
        ),
        (
            {"mode": "real", "ledger": "mysql"},
            "expected ledger in mode 'real' to be one of sqlite, postgresql, got 'mysql'",
        ),
        ({"engines": "rq"}, r"expected engines=\(names, ...\), got 'rq'"),
    ],
)
def test_an_option_of_the_marker(given: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        options_of((), given)


def test_an_option_without_its_name() -> None:
    with pytest.raises(ConfigurationError, match="expected options by name"):
        options_of(("inline",), {})


def test_what_needs_the_ledgers_database(failsoft: Testkit) -> None:
    text = (
        "the ledger's database, and this test's ledger is in memory; run the test on a database: "
        "@pytest.mark.failsoft(mode='real')"
    )
    with pytest.raises(OptionInvalidError) as raised:
        dispatch_job(send_welcome, Person(), session=object())
    assert text_of(raised) == f"a dispatch with session=object is recorded in {text}"

    with pytest.raises(TransactionUnsupportedError) as failed:
        failsoft.perform(post, Nothing())
    assert text_of(failed) == f"step 'post' works in {text}"

    with pytest.raises(AssertionError) as asked:
        _ = failsoft.ledger_url
    assert text_of(asked) == (
        "expected a ledger with a database, got one in memory; run the test on one: "
        "@pytest.mark.failsoft(mode='real')"
    )
