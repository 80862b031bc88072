"""Many jobs, chains, groups and handles; on the lines marked `error:` what is wrong."""

from typing import assert_type

from pydantic import BaseModel

from failsoft.api import (
    ChainHandle,
    Dispatcher,
    DispatchOutcome,
    DispatchRequest,
    GroupResult,
    JobContext,
    JobFailure,
    JobHandle,
    Link,
    Many,
    dispatch_chain,
    dispatch_group,
    dispatch_job,
    dispatch_many,
    job,
    send_event,
)


class Mail(BaseModel):
    """A payload."""

    user_id: int = 0


class Other(BaseModel):
    """Another payload."""


class Summary(BaseModel):
    """A payload that takes how a group ended."""

    group: GroupResult | None = None


class Decision(BaseModel):
    """What an event says."""


@job()
def send(payload: Mail, ctx: JobContext) -> str:
    """Return text."""
    return "sent"


@job()
def count(payload: Other, ctx: JobContext) -> int:
    """Return a number."""
    return 7


@job()
def summarise(payload: GroupResult, ctx: JobContext) -> int:
    """Complete a group."""
    return payload.total


@job()
def report(payload: Summary, ctx: JobContext) -> str:
    """Complete a group whose result is a field."""
    return "done"


mail, other = Mail(), Other()

# Many at once.
assert_type(dispatch_many(send, [mail, DispatchRequest(mail)]), list[DispatchOutcome[str]])
dispatch_many(send, (Mail(user_id=n) for n in range(3)), how=Many(chunk=2), priority=1)
dispatch_many(send, [other])  # error: another payload
dispatch_many(send, [mail, other])  # error: one of them is another payload
dispatch_many(send, [DispatchRequest(other)])  # error: another payload
dispatch_many(send, mail)  # error: many payloads, and not one
dispatch_many(send, [mail], prioritty=1)  # error: no such option
DispatchRequest(mail, {"prioritty": 1})  # error: no such option
Many(on_error="ignore")  # error: `report` or `raise`

# Chains.
assert_type(Link(send, mail), Link[Mail, str])
assert_type(dispatch_chain(Link(send, mail), Link(count, other)), ChainHandle[int])
assert_type(dispatch_chain(Link(count, other), Link(send, mail)).result(), str)
Link(send, other)  # error: another payload
Link("send", mail)  # error: a job, and not its name
dispatch_chain(Link(send, mail), Link(count, mail))  # error: another payload
dispatch_chain(send, count)  # error: links, and not jobs
dispatch_chain()  # error: one link at least

# Groups.
links = [Link(send, Mail(user_id=n)) for n in range(3)]
dispatch_group(links, summarise, when="all_succeeded")
dispatch_group(links, Link(report, Summary(), result_field="group"))
dispatch_group([Link(send, mail), Link(count, other)])
dispatch_group([Link(send, other)], summarise)  # error: another payload
dispatch_group([send], summarise)  # error: links, and not jobs
dispatch_group(links, count)  # error: a completion takes a GroupResult
dispatch_group(links, report)  # error: this one takes it in a field: a Link says which
dispatch_group(links, Link(report, mail))  # error: another payload
dispatch_group(links, summarise, when="any")  # error: `all_ended` or `all_succeeded`

# Handles.
handle = dispatch_job(count, other)
assert_type(handle.retry(), JobHandle[int])
handle.accept(7)
handle.accept("seven")  # error: the result is a number
number: str = handle.result()  # error: the result is a number
dispatch_job(summarise, handle)  # error: a payload, and not a handle


def look(dispatcher: Dispatcher) -> None:
    """Find a job again."""
    assert_type(dispatcher.handle(send, "id"), JobHandle[str])
    dispatcher.handle(send, "id").accept(7)  # error: the result is text
    dispatcher.handle("send", "id")  # error: a job, and not its name
    dispatcher.pause("queues", "default")  # error: `queue` or `job`


# Events say whatever JSON can carry; who waits for one says what it must be.
assert_type(send_event("decision", Decision(), to=handle), int)
send_event("decision", {"approved": True}, key="order-7")
send_event(7)  # error: a name is text
send_event("decision", to=7)  # error: a handle or an id


@job()
def decide(payload: Mail, ctx: JobContext) -> bool:
    """Wait for an event."""
    found = ctx.wait_for_event("decision", Decision)
    assert_type(found, Decision | None)
    return found.approved  # error: there may be none, and it has no such field


@job(on_failure=send)  # error: a hook takes a JobFailure
def hooked_wrongly(payload: Mail, ctx: JobContext) -> None:
    """Fail."""


@job()
def tell(payload: JobFailure, ctx: JobContext) -> None:
    """A failure."""


@job(on_failure=tell)
def hooked(payload: Mail, ctx: JobContext) -> None:
    """Fail."""
