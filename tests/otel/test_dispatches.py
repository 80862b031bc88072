"""Spans of dispatches and offers, and what the ledger keeps of them."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import Span, SpanProcessor
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    TraceState,
    use_span,
)

from failsoft.dispatcher.dispatching.bulk import Many
from failsoft.job_engine.definitions.links import Link
from failsoft.job_engine.records.trace_context import MAX_BYTES, carrier_of, kept
from failsoft.job_engine.tracing import UNTRACED, Untraced, use_tracer
from tests.otel.conftest import Spans
from tests.otel.reading import context, facts, link, links, parent
from tests.unit.support.attempts import Mail
from tests.unit.support.memory_app import WELCOME, MemoryApp

PARENT = f"00-{'a' * 32}-{'b' * 16}-01"


@pytest.fixture
def app() -> MemoryApp:
    app = MemoryApp()
    app.workers()
    return app


def test_a_dispatch_is_a_span_of_the_callers_trace_and_its_commit_and_offer_are_within_it(
    app: MemoryApp, spans: Spans
) -> None:
    with spans.tracer.start_as_current_span("request"):
        handle = app.dispatch()

    request, dispatch = spans.one("request"), spans.one("dispatch default")
    record, send = spans.one("record ledger"), spans.one("send default")
    assert parent(dispatch) == context(request).span_id
    assert parent(record) == parent(send) == context(dispatch).span_id
    assert [each.kind for each in (dispatch, record, send)] == [
        SpanKind.PRODUCER,
        SpanKind.CLIENT,
        SpanKind.CLIENT,
    ]
    assert facts(dispatch) == {
        "messaging.operation.name": "dispatch",
        "messaging.operation.type": "create",
        "messaging.destination.name": "default",
        "messaging.message.id": handle.id,
        "failsoft.job": "welcome",
        "failsoft.disposition": "created",
        "failsoft.engines.order": ("rq", "dramatiq"),
    }
    assert facts(record) == {"db.system.name": "other_sql"}
    assert facts(send)["messaging.system"] == "rq"
    assert links(send) == []


def test_the_ledger_keeps_the_trace_of_the_dispatch_and_no_message_has_it(
    app: MemoryApp, spans: Spans
) -> None:
    handle = app.dispatch()

    dispatch = context(spans.one("dispatch"))
    kept_trace = carrier_of(app.ledger.get(handle.id).trace_context)
    ids = f"{dispatch.trace_id:032x}-{dispatch.span_id:016x}"
    assert kept_trace == {"traceparent": f"00-{ids}-{dispatch.trace_flags:02x}"}
    message = app.rq.take(WELCOME.queue)
    assert message is not None
    assert f"{dispatch.trace_id:032x}" not in json.dumps(message.to_wire())


def test_an_offer_to_another_engine_is_an_event_of_the_dispatch(
    app: MemoryApp, spans: Spans
) -> None:
    app.rq.down()

    app.dispatch()

    (event,) = spans.one("dispatch").events
    assert event.name == "failsoft.failover"
    assert dict(event.attributes or {}) == {
        "from": "rq",
        "to": "dramatiq",
        "reason": "unavailable",
    }
    sent = [
        (facts(each)["messaging.system"], facts(each).get("error.type"))
        for each in spans.named("send")
    ]
    assert sent == [("rq", "unavailable"), ("dramatiq", None)]


def test_jobs_that_are_dispatched_together_belong_to_one_span_of_each_chunk(
    app: MemoryApp, spans: Spans
) -> None:
    app.dispatcher.dispatch_many(WELCOME, [Mail(), Mail(), Mail()], how=Many(chunk=2))

    counts = [facts(each)["messaging.batch.message_count"] for each in spans.named("dispatch")]
    assert counts == [2, 1]


def test_all_jobs_of_a_chain_belong_to_the_trace_of_its_dispatch(
    app: MemoryApp, spans: Spans
) -> None:
    chain = app.dispatcher.dispatch_chain(
        Link(WELCOME, Mail()), Link(WELCOME, Mail()), chain_id="booking"
    )

    dispatch = spans.one("dispatch")
    kept_traces = {app.ledger.get(each.id).trace_context for each in chain.jobs}
    (kept_trace,) = kept_traces
    assert f"{context(dispatch).span_id:016x}" in str(kept_trace)
    assert facts(dispatch)["messaging.message.conversation_id"] == "booking"


def test_all_jobs_of_a_group_and_its_completion_belong_to_the_trace_of_its_dispatch(
    app: MemoryApp, spans: Spans
) -> None:
    group = app.dispatcher.dispatch_group([Link(WELCOME, Mail())] * 2, group_id="mails")

    kept_traces = {each.trace_context for each in app.ledger.list_jobs()}
    assert len(app.ledger.list_jobs()) == 2
    assert len(kept_traces) == 1
    assert None not in kept_traces
    assert facts(spans.one("dispatch"))["messaging.message.conversation_id"] == group.id


def test_an_offer_that_a_rescuer_makes_links_to_the_dispatch(app: MemoryApp, spans: Spans) -> None:
    lease = timedelta(seconds=10)
    app.running(lease=lease)
    app.rescuer.tick()
    app.clock.advance(2 * lease)
    app.rescuer.tick()

    dispatch, rescue = spans.one("dispatch"), spans.one("rescue")
    offered_again = spans.named("send")[-1]
    assert rescue.parent is None
    assert links(rescue) == [link("job", dispatch)]
    assert facts(rescue) == {"failsoft.rescue.count": 1}
    (lost,) = [each for each in rescue.events if each.name == "failsoft.attempt.lost"]
    said = dict(lost.attributes or {})
    assert said["messaging.message.id"] == facts(dispatch)["messaging.message.id"]
    assert (said["failsoft.epoch"], said["failsoft.outcome"]) == (1, "recover")
    assert parent(offered_again) == context(rescue).span_id
    assert links(offered_again) == [link("dispatch", dispatch)]


@pytest.mark.parametrize(
    "carrier",
    [
        {"traceparent": PARENT, "tracestate": "a=" + "b" * 10_240},
        {"traceparent": "01" + PARENT[2:]},
        {"traceparent": "ff" + PARENT[2:]},
        {"traceparent": PARENT.upper()},
        {"traceparent": PARENT.replace("a", "0")},
        {"traceparent": PARENT + "\n"},
        {"traceparent": PARENT, "tracestate": "a=b\nX-Admin: yes"},
        {"traceparent": PARENT * 200},
        {"traceparent": 7},
        {"tracestate": "a=b"},
    ],
)
def test_a_trace_that_is_not_as_it_should_be_is_dropped_and_the_job_dispatched_all_the_same(
    app: MemoryApp, carrier: Mapping[str, Any]
) -> None:
    class Elsewhere(Untraced):
        pass

    Elsewhere.carrier = carrier
    use_tracer(Elsewhere())
    try:
        handle = app.dispatch()
    finally:
        use_tracer(UNTRACED)

    assert app.ledger.get(handle.id).trace_context is None
    assert len(app.offered(app.rq)) == 1


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "null", '{"traceparent": 7}', '{"a": "b"}', "x" * 10_240]
)
def test_a_trace_that_somebody_wrote_into_the_ledger_is_read_as_none(text: str) -> None:
    assert carrier_of(text) == {}


def test_a_caller_with_a_trace_state_of_10_kb_gets_its_job(app: MemoryApp, spans: Spans) -> None:
    state = TraceState([(f"vendor{n}", "x" * 250) for n in range(32)])
    caller = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1), trace_state=state)

    with use_span(NonRecordingSpan(caller)):
        handle = app.dispatch()

    assert app.ledger.get(handle.id).trace_context is None
    assert len(spans.named("dispatch")) == 1


def test_baggage_goes_along_where_a_program_wants_it_and_as_far_as_there_is_room(
    app: MemoryApp, spans: Spans
) -> None:
    def kept_with(value: str) -> Mapping[str, str]:
        token = otel_context.attach(baggage.set_baggage("tenant", value))
        try:
            return carrier_of(app.ledger.get(app.dispatch().id).trace_context)
        finally:
            otel_context.detach(token)

    assert set(kept_with("acme")) == {"traceparent"}
    spans.choose(baggage=True)
    assert kept_with("acme")["baggage"] == "tenant=acme"
    assert set(kept_with("x" * MAX_BYTES)) == {"traceparent"}


def test_what_a_processor_of_the_program_raises_is_no_error_of_a_dispatch(
    app: MemoryApp, spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(SpanProcessor):
        def on_start(self, span: Span, parent_context: object = None) -> None:
            raise RuntimeError("a defect of the program's")

    spans.provider.add_span_processor(Broken())

    handle = app.dispatch()

    assert app.ledger.get(handle.id).engine == "rq"
    assert "a span could not be begun" in caplog.text


def test_a_process_that_is_not_instrumented_keeps_no_trace(app: MemoryApp) -> None:
    assert app.ledger.get(app.dispatch().id).trace_context is None


def test_a_trace_that_is_as_it_should_be_is_kept_as_it_is() -> None:
    carrier = {"traceparent": PARENT, "tracestate": "a=b"}

    assert carrier_of(kept(carrier)) == carrier
