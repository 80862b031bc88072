"""The job module of workers: it has the actors of the program's `FailsoftBroker`.

It imports the modules of `FAILSOFT_CALLABLES`, which declare them, when a worker starts.
"""

import asyncio
import inspect
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import dramatiq.broker
from dramatiq import Message, MessageProxy
from dramatiq.errors import ActorNotFound, Retry
from dramatiq.middleware import SkipMessage
from pydantic import JsonValue

from failsoft.adoption.definition import CallDefinition, Policies, kept
from failsoft.adoption.dramatiq.broker import FailsoftBroker
from failsoft.adoption.dramatiq.call import ActorCall
from failsoft.adoption.dramatiq.call import dramatiq_actor as declared_actor
from failsoft.adoption.dramatiq.call import dramatiq_failure_callback as declared_callback
from failsoft.adoption.dramatiq.options import option, policies
from failsoft.adoption.values import as_result
from failsoft.api import (
    ConfigurationError,
    JobContext,
    JobFailure,
    MissingHandlerError,
    ResultInvalidError,
    RetryAfterError,
)
from failsoft.job_engine.definitions.callables import SETTING, Callables, allowed_modules
from failsoft.job_engine.definitions.definition import JobDefinition

Callables(allowed_modules())


def broker_in_use() -> FailsoftBroker:
    """Return the broker that the program has set.

    Raises:
        ConfigurationError: It has set none, or another one.
    """
    broker = dramatiq.broker.global_broker
    if not isinstance(broker, FailsoftBroker):
        raise ConfigurationError(
            f"expected a module of {SETTING} that calls dramatiq.set_broker(FailsoftBroker()), got "
            f"{type(broker).__name__}; set it before the actors are declared"
        )
    return broker


def actor_of(name: str) -> dramatiq.Actor[Any, Any]:
    """Return an actor by its name.

    Raises:
        MissingHandlerError: None of that name is declared, perhaps not yet.
    """
    try:
        return broker_in_use().get_actor(name)
    except ActorNotFound as error:
        raise MissingHandlerError(
            f"expected a declared actor, got {name!r}; name its module in {SETTING}"
        ) from error


def run_actor(call: ActorCall, ctx: JobContext) -> JsonValue:
    """Call the actor that a job is of.

    Raises:
        MissingHandlerError: No such actor is declared, perhaps not yet.
        HoldRequested: Its result is to be stored, and is no JSON.
    """
    broker, actor = broker_in_use(), actor_of(call.actor)
    message = _message(call, ctx.job_id, ctx.queue, retries=ctx.attempt - 1)
    proxy = MessageProxy(message)
    try:
        with broker.processing(proxy) as processing:
            processing.result = _called(actor, message)
    except SkipMessage:
        broker.skipped(proxy)
        return None
    except Retry as error:
        if error.delay is None:
            raise
        raise RetryAfterError(timedelta(milliseconds=error.delay), str(error)) from error
    result = _result(processing.result, option("store_results", message.options, actor))
    if target := option("on_success", call.options, actor):
        _send(target, f"{ctx.job_id}-success", message, result)
    return result


def run_failure_callback(failure: JobFailure, ctx: JobContext) -> None:
    """Send a message to the `on_failure` actor of one that has failed for good."""
    call = ActorCall.model_validate(failure.payload)
    target = option("on_failure", call.options, actor_of(call.actor))
    message = _message(call, failure.job_id, failure.queue, retries=failure.attempts - 1)
    told = {"type": failure.error_type, "message": failure.error_message}
    _send(target, f"{failure.job_id}-failure", message, told)


def _policies(call: ActorCall) -> Policies:
    return policies(call.options, actor_of(call.actor), broker_in_use().middleware)


def _message(call: ActorCall, job_id: str, queue: str, *, retries: int) -> Message[Any]:
    before = (call.result_before,) if call.takes_result else ()
    return Message(
        queue_name=queue,
        actor_name=call.actor,
        args=(*call.args, *before),
        kwargs=dict(call.kwargs),
        options={**call.options, "retries": retries},
        message_id=job_id,
    )


def _called(actor: dramatiq.Actor[Any, Any], message: Message[Any]) -> Any:
    function = inspect.unwrap(actor.fn)
    if inspect.iscoroutinefunction(function):
        # What Dramatiq made of it needs an event loop of a worker of Dramatiq's.
        return asyncio.run(function(*message.args, **message.kwargs))
    return actor.fn(*message.args, **message.kwargs)


def _result(value: object, store: object) -> JsonValue:
    if store:
        return kept(value)
    with suppress(ResultInvalidError):
        return as_result(value)
    # Dramatiq drops what an actor returns, whatever it is.
    return None


def _send(actor: str, job_id: str, message: Message[Any], result: object) -> None:
    # Of an attempt that is repeated, the message is the same one.
    sent = actor_of(actor).message(message.asdict(), result)
    broker_in_use().enqueue(sent.copy(message_id=job_id))


dramatiq_actor: CallDefinition[ActorCall] = replace(
    declared_actor, handler=run_actor, policies=_policies
)
dramatiq_failure_callback: JobDefinition[JobFailure, None] = declared_callback.bind(
    run_failure_callback
)
broker_in_use()
