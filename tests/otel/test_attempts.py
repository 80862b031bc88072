"""Spans of attempts and their steps."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry import baggage, trace
from opentelemetry.trace import SpanKind, StatusCode
from tenacity import wait_none

from failsoft.job_engine import JobContext, RetryPolicy
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.outcome import crashed
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.job_engine.records.trace_context import BACK, carrier_of
from tests.otel.async_job import define_async
from tests.otel.conftest import Spans
from tests.otel.reading import context, facts, link, links, parent
from tests.unit.support.attempts import HOUR, AttemptRunner, Mail, define

DISPATCHED = f"00-{'a' * 32}-{'b' * 16}-01"
IDS = (0xAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA, 0xBBBBBBBBBBBBBBBB)


class TracedRunner(AttemptRunner):
    """Runs attempts of a job that has a trace."""

    def __init__(self, *args: Any, kept: dict[str, str] | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self.job_id = "a1"
        text = json.dumps({"traceparent": DISPATCHED} if kept is None else kept)
        new = NewJob("a1", "welcome", "default", '{"user_id": 7}', "5ad1", trace_context=text)
        self.ledger.record_job(new, OfferPlan("rq", HOUR))


def three_steps(ctx: JobContext) -> None:
    for name in ("reserve", "charge", "ship"):
        ctx.run(name, lambda: None)


def test_an_attempt_is_a_trace_of_its_own_that_links_to_its_dispatch(spans: Spans) -> None:
    runner = TracedRunner(three_steps)

    with spans.tracer.start_as_current_span("the worker's own"):
        runner.run()

    process = spans.one("process default")
    assert (process.parent, process.kind) == (None, SpanKind.CONSUMER)
    assert links(process) == [("dispatch", *IDS)]
    assert facts(process) == {
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "default",
        "messaging.system": "rq",
        "messaging.message.id": "a1",
        "failsoft.job": "welcome",
        "failsoft.engine": "rq",
        "failsoft.worker": "worker-1",
        "failsoft.attempt": 1,
        "failsoft.epoch": 1,
        "failsoft.outcome": "succeed",
        "failsoft.resumed.steps": 0,
    }
    steps = spans.named("step ")
    assert [each.name for each in steps] == ["step reserve", "step charge", "step ship"]
    assert {parent(each) for each in steps} == {context(process).span_id}
    assert facts(steps[0]) == {
        "failsoft.step.name": "reserve",
        "failsoft.step.try": 1,
        "failsoft.step.kind": "run",
    }


def test_without_links_an_attempt_is_a_part_of_the_trace_of_its_dispatch(spans: Spans) -> None:
    spans.choose(links=False)

    TracedRunner(three_steps).run()

    process = spans.one("process")
    assert (context(process).trace_id, parent(process), process.links) == (*IDS, ())


@pytest.mark.parametrize("with_links", [True, False])
def test_work_that_a_person_has_done_again_is_a_new_trace_that_links_back(
    spans: Spans, with_links: bool
) -> None:
    spans.choose(links=with_links)

    TracedRunner(three_steps, kept={BACK: DISPATCHED}).run()

    process = spans.one("process")
    assert process.parent is None
    assert links(process) == [("retried", *IDS)]


def test_spans_of_a_jobs_own_are_within_its_step(spans: Spans) -> None:
    def query() -> None:
        with spans.tracer.start_as_current_span("SELECT"):
            pass

    TracedRunner(lambda ctx: ctx.run("load", query)).run()

    assert parent(spans.one("SELECT")) == context(spans.one("step load")).span_id


def test_steps_side_by_side_are_within_the_attempt(spans: Spans) -> None:
    def body(ctx: JobContext) -> None:
        ctx.parallel(ctx.branch("a", lambda: None), ctx.branch("b", lambda: None))

    TracedRunner(body).run()

    steps = spans.named("step ")
    assert {each.name for each in steps} == {"step a", "step b"}
    assert {parent(each) for each in steps} == {context(spans.one("process")).span_id}
    assert {facts(each)["failsoft.step.kind"] for each in steps} == {"branch"}


def test_an_async_job_has_the_same_spans(spans: Spans) -> None:
    async def nothing() -> None:
        assert trace.get_current_span().get_span_context().is_valid

    async def handler(ctx: Any) -> None:
        await ctx.run("awaited", nothing)
        await ctx.run("plain", lambda: None)

    runner = TracedRunner()
    runner.definitions = [define_async(handler)]
    runner.run()

    assert [each.name for each in spans.named("step ")] == ["step awaited", "step plain"]
    assert facts(spans.one("process"))["failsoft.outcome"] == "succeed"


def test_each_try_of_a_step_is_a_span_with_its_number(spans: Spans) -> None:
    tries = iter([ValueError("not yet"), None])

    def flaky() -> None:
        error = next(tries)
        if error is not None:
            raise error

    again = RetryPolicy(max_attempts=2, wait=wait_none())
    TracedRunner(lambda ctx: ctx.run("flaky", flaky, retry=again)).run()

    first, second = spans.named("step flaky")
    assert (facts(first)["failsoft.step.try"], facts(first)["error.type"]) == (1, "ValueError")
    assert (facts(second)["failsoft.step.try"], second.status.status_code) == (2, StatusCode.UNSET)


def test_the_next_attempt_links_to_the_one_before_and_names_the_steps_that_it_did_not_run(
    spans: Spans,
) -> None:
    def failing(ctx: JobContext) -> None:
        ctx.run("reserve", lambda: None)
        raise OSError("the shop is closed")

    runner = TracedRunner()
    runner.run(failing)
    runner.run(three_steps)

    first, second = spans.named("process")
    assert (facts(first)["failsoft.outcome"], facts(first)["error.type"]) == ("retry", "OSError")
    assert links(second) == [("dispatch", *IDS), link("previous", first)]
    assert facts(second)["failsoft.resumed.steps"] == 1
    (reused,) = second.events
    assert reused.name == "failsoft.step.reused"
    assert dict(reused.attributes or {})["failsoft.step.name"] == "reserve"
    ran = [each.name for each in spans.named("step ")]
    assert sorted(ran) == ["step charge", "step reserve", "step ship"]


def test_the_late_spans_of_an_attempt_that_was_replaced_are_fenced(spans: Spans) -> None:
    runner = TracedRunner()
    later: list[Any] = []

    def frozen() -> None:
        later.append(runner.claim())

    runner.run(lambda ctx: ctx.run("charge", frozen))
    runner.definitions = [define(lambda ctx: ctx.run("charge", lambda: None))]
    runner.executor.run(later[0], Lease())

    first, second = spans.named("process")
    late, in_time = spans.named("step charge")
    assert facts(first)["failsoft.outcome"] == facts(late)["failsoft.outcome"] == "fenced"
    assert facts(second)["failsoft.outcome"] == "succeed"
    assert "failsoft.outcome" not in facts(in_time)
    assert links(second) == [("dispatch", *IDS), link("lost", first)]


STARTED = datetime(2026, 11, 29, 12, tzinfo=UTC)


def test_an_attempt_whose_process_died_has_a_span_in_the_trace_that_it_left(spans: Spans) -> None:
    left = f"00-{'c' * 32}-{'d' * 16}-01"
    runner = TracedRunner()
    claim = runner.claim()
    runner.ledger.note_trace(claim, json.dumps({"traceparent": left}))

    runner.executor.conclude_dead(claim, crashed(claim, "killed by SIGKILL"), Lease(), STARTED)
    runner.run(three_steps)

    died, second = spans.named("process")
    assert (context(died).trace_id, parent(died)) == (int("c" * 32, 16), int("d" * 16, 16))
    assert links(died) == [("dispatch", *IDS)]
    assert died.start_time == STARTED.timestamp() * 1e9
    shown = facts(died)
    assert (shown["failsoft.process.died"], shown["failsoft.outcome"]) == (True, "crash")
    assert shown["error.type"].endswith("JobCrashedError")
    assert "failsoft.resumed.steps" not in shown
    assert links(second) == [("dispatch", *IDS), link("previous", died)]


@pytest.mark.parametrize("with_links", [True, False])
def test_an_attempt_that_died_before_it_left_a_trace_has_a_span_as_any_other(
    spans: Spans, with_links: bool
) -> None:
    spans.choose(links=with_links)
    runner = TracedRunner()
    claim = runner.claim()
    runner.ledger.fail_next()

    runner.executor.conclude_dead(claim, None, Lease(), STARTED)

    died = spans.one("process")
    assert parent(died) == (None if with_links else IDS[1])
    assert facts(died)["failsoft.outcome"] == "fenced"


@pytest.mark.parametrize("is_shown", [True, False])
def test_the_text_of_an_error_is_shown_only_where_the_program_wants_it(
    spans: Spans, is_shown: bool
) -> None:
    spans.choose(record_errors=is_shown)

    def body(ctx: JobContext) -> None:
        ctx.run("charge", fail)

    def fail() -> None:
        raise ValueError("card 4111")

    TracedRunner(body).run()

    text = "".join(each.to_json() for each in spans.exporter.get_finished_spans())
    assert ("card 4111" in text) is is_shown
    assert facts(spans.one("process"))["error.type"] == "ValueError"


def test_an_attempt_leaves_its_trace_in_the_ledger(spans: Spans) -> None:
    runner = TracedRunner(three_steps)
    runner.run()

    (attempt,) = runner.ledger.attempts("a1")
    process = context(spans.one("process"))
    expected = f"00-{process.trace_id:032x}-{process.span_id:016x}-{process.trace_flags:02x}"
    assert carrier_of(attempt.trace_context)["traceparent"] == expected


def test_a_ledger_that_refuses_the_trace_costs_a_link_and_not_the_attempt(spans: Spans) -> None:
    runner = TracedRunner(three_steps)
    claim = runner.claim()
    runner.ledger.fail_next()

    runner.executor.run(claim, runner.lease)

    assert facts(spans.one("process"))["failsoft.outcome"] == "succeed"


def test_baggage_of_the_dispatch_is_that_of_the_attempt(spans: Spans) -> None:
    spans.choose(baggage=True)
    seen: list[object] = []
    kept = {"traceparent": DISPATCHED, "baggage": "tenant=acme"}

    TracedRunner(lambda ctx: seen.append(baggage.get_baggage("tenant")), kept=kept).run()

    assert seen == ["acme"]


def test_a_job_that_is_invoked_belongs_to_the_trace_of_its_parent(spans: Spans) -> None:
    child = define(lambda ctx: None, name="child")
    runner = TracedRunner(lambda ctx: ctx.invoke(child, Mail()))
    runner.run()

    kept = {each.name: each.trace_context for each in runner.ledger.list_jobs()}
    assert kept["child"] == runner.job.trace_context
    assert kept["child"] is not None
