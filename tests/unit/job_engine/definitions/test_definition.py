"""What `@job` and `declare_job` make, and what they refuse at import."""

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from failsoft.job_engine import JobContext, JobDefinition, QueueProfile, Retention, declare_job, job
from failsoft.job_engine.errors import (
    DefinitionError,
    MissingHandlerError,
    PayloadInvalidError,
    UnknownQueueError,
)
from failsoft.job_engine.policies.queue import DATA_SYNC, DEFAULT
from tests.unit.support.attempts import RETRY, AttemptRunner, Mail

if TYPE_CHECKING:
    from decimal import Decimal as Hidden


def send(payload: Mail, ctx: JobContext) -> int:
    return payload.user_id


def test_the_short_form_declares_and_binds() -> None:
    definition = job(queue="data-sync", retry=RETRY, priority=5, tags=("mail",))(send)

    assert (definition.name, definition.payload_type, definition.result_type) == ("send", Mail, int)
    assert (definition.queue, definition.priority, definition.tags) == (DATA_SYNC, 5, ("mail",))
    assert definition.call(Mail(), AttemptRunner().context()) == 7


def test_a_job_may_be_named() -> None:
    assert job(name="mail.send-1", retry=RETRY)(send).name == "mail.send-1"


def test_a_job_has_the_defaults_of_the_design() -> None:
    definition = job()(send)

    assert (definition.queue, definition.priority, definition.engines) == (DEFAULT, 0, ())
    assert definition.retry.max_attempts == 3
    assert definition.keep_succeeded == Retention(age=timedelta(hours=24), count=1000)
    assert definition.keep_failed == Retention(age=timedelta(days=7))


def test_a_declaration_needs_no_handler_and_cannot_be_called() -> None:
    declared = declare_job("send", payload=Mail, result=int, retry=RETRY)

    assert (declared.handler, declared.result_type) == (None, int)
    with pytest.raises(MissingHandlerError, match="'send' is declared but not bound"):
        declared.call(Mail(), AttemptRunner().context())


def test_a_declaration_is_bound_where_it_runs() -> None:
    declared = declare_job("send", payload=Mail, result=int, retry=RETRY, priority=9)

    bound = declared.bind(send)

    assert (bound.name, bound.priority, bound.handler) == ("send", 9, send)
    assert declared.handler is None


def test_a_handler_for_another_payload_is_not_bound() -> None:
    class Bill(BaseModel):
        amount: int

    declared: JobDefinition[Any, Any] = declare_job("send", payload=Bill, result=int, retry=RETRY)

    with pytest.raises(DefinitionError, match="Bill"):
        declared.bind(send)


@pytest.mark.parametrize("name", ["", "1st", "a b", "a/b", "ž", "a" * 129, "-a", ".a", "a\n"])
def test_a_name_that_could_be_mistaken_is_refused(name: str) -> None:
    with pytest.raises(DefinitionError, match="a name of letters"):
        declare_job(name, payload=Mail, retry=RETRY)


@pytest.mark.parametrize("name", ["a", "_a", "send_mail", "mail.send", "Send-1", "a" * 128])
def test_a_usual_name_is_taken(name: str) -> None:
    assert declare_job(name, payload=Mail, retry=RETRY).name == name


def test_a_payload_must_be_a_model() -> None:
    with pytest.raises(DefinitionError, match="pydantic model as payload"):
        declare_job("send", payload=dict, retry=RETRY)  # type: ignore[type-var]


@pytest.mark.parametrize("priority", [-101, 101])
def test_a_priority_out_of_range_is_refused(priority: int) -> None:
    with pytest.raises(DefinitionError, match="from -100 to 100"):
        job(retry=RETRY, priority=priority)(send)


@pytest.mark.parametrize("timeout", [timedelta(0), timedelta(seconds=-1)])
def test_a_timeout_of_nothing_is_refused(timeout: timedelta) -> None:
    with pytest.raises(DefinitionError, match="timeout above zero"):
        job(retry=RETRY, timeout=timeout)(send)


def test_an_unknown_queue_is_refused_at_import() -> None:
    with pytest.raises(UnknownQueueError, match="default"):
        job(queue="emails", retry=RETRY)(send)


def test_an_attempt_may_run_as_long_as_its_queue_allows_or_the_job_says() -> None:
    short = job(retry=RETRY, timeout=timedelta(seconds=3))(send)

    assert short.attempt_timeout == timedelta(seconds=3)
    assert job(retry=RETRY)(send).attempt_timeout == DEFAULT.timeout


def too_few(payload: Mail) -> None: ...
def too_many(payload: Mail, ctx: JobContext, more: int) -> None: ...
def no_model(payload: int, ctx: JobContext) -> None: ...
def unannotated(payload, ctx): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
def swapped(ctx: JobContext, payload: Mail) -> None: ...
def hidden(payload: "Hidden", ctx: JobContext) -> None: ...


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (too_few, r"expected a handler \(payload, ctx\), got \(payload\)"),
        (too_many, r"got \(payload, ctx, more\)"),
        (no_model, "first parameter annotated with a pydantic model"),
        (unannotated, "first parameter annotated with a pydantic model, got typing.Any"),
        (swapped, "first parameter annotated with a pydantic model"),
        (hidden, "outside `if TYPE_CHECKING`"),
    ],
)
def test_a_handler_of_another_shape_is_refused_at_import(handler: Any, expected: str) -> None:
    with pytest.raises(DefinitionError, match=expected) as caught:
        job(retry=RETRY)(handler)

    assert handler.__name__ in str(caught.value)


class Sender:
    def __call__(self, payload: Mail, ctx: JobContext) -> int:
        return payload.user_id

    def method(self, payload: Mail, ctx: JobContext) -> int:
        return payload.user_id


def with_default(payload: Mail, ctx: JobContext, style: str = "plain") -> int:
    return payload.user_id


def test_anything_that_can_be_called_so_may_be_a_handler() -> None:
    handlers: list[Any] = [
        Sender(),
        Sender().method,
        with_default,
        partial(with_default, style="fancy"),
    ]

    for handler in handlers:
        definition = job(name="send", retry=RETRY)(handler)
        assert (definition.payload_type, definition.result_type) == (Mail, int)
        assert definition.call(Mail(user_id=3), AttemptRunner().context()) == 3


def test_a_payload_is_read_back_in_its_type() -> None:
    definition = job(retry=RETRY)(send)

    assert definition.decode('{"user_id": 3}') == Mail(user_id=3)
    with pytest.raises(PayloadInvalidError):
        definition.decode('{"user_id": "three"}')


def test_a_definition_does_not_change() -> None:
    definition = job(retry=RETRY)(send)

    with pytest.raises(AttributeError):
        definition.queue = QueueProfile("other")  # type: ignore[misc]


def test_the_parentheses_may_be_left_out_where_there_are_no_options() -> None:
    @job
    def bare(payload: Mail, ctx: JobContext) -> str:
        return "sent"

    assert (bare.name, bare.payload_type, bare.result_type) == ("bare", Mail, str)
    with pytest.raises(DefinitionError, match="a handler that can be called, got"):
        job("mail")  # type: ignore[call-overload]


def test_a_job_is_shown_by_what_distinguishes_it_from_others() -> None:
    bound = job(retry=RETRY)(send)

    assert repr(bound).startswith("JobDefinition('send', payload=")
    assert repr(bound).endswith("queue='default')")
    assert repr(declare_job("mail", payload=bound.payload_type)).endswith(", not bound)")
