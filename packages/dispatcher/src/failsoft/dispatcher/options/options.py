"""The options of one dispatch, and the job that they make; what is wrong is refused here."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal, TypedDict, cast

from pydantic import BaseModel

from failsoft.dispatcher.options.checks import check_job, check_options
from failsoft.job_engine.clock import Clock
from failsoft.job_engine.declaration import follow_ups_of
from failsoft.job_engine.definitions.definition import AnyDefinition
from failsoft.job_engine.errors import OptionInvalidError
from failsoft.job_engine.policies.limits import Concurrency, Limits, RateLimit, limits_of
from failsoft.job_engine.policies.uniqueness import (
    Debounce,
    Identity,
    Throttle,
    Unique,
    unknown_fields,
)
from failsoft.job_engine.records.new_job import NewJob
from failsoft.job_engine.validation import Expect
from failsoft.job_engine.values.canonical import digest
from failsoft.job_engine.values.codec import MAX_PAYLOAD_BYTES, encode_payload

#: The options that determine which dispatches are the same.
IDENTITIES = ("unique", "debounce", "throttle")

_EXPECT = Expect(OptionInvalidError)
_expect = _EXPECT.that

OnDuplicate = Literal["return_existing", "raise", "replace"]


#: Makes the ids of new jobs.
Ids = Callable[[Clock], str]
#: How much of an id is random.
ID_BYTES = 10


class DispatchOptions(TypedDict, total=False):
    """The options of one dispatch.

    Attributes:
        job_id: The job's id; a new one where absent.
        idempotency_key: Dispatching the same job with the same key again makes no second one.
        idempotency_for: How long that key, or the job id, is remembered from now on, instead of the
            definition's; the same key means the same job for as long, and as long as that is there.
        on_duplicate: What a used key does: `return_existing` returns the job there is, `raise`
            raises, `replace` gives a job that no attempt has begun this payload and these
            options, and returns one that has begun or ended as it is; see the handle's disposition.
        unique: Which jobs may not be there at the same time, instead of the definition's; None
            lets it be one of many. `on_duplicate` decides what a dispatch does that finds one.
        debounce: Run when no other dispatch has come for a while, instead of the definition's.
        throttle: Run once in a period, instead of the definition's.
        concurrency: How many may run at once, instead of the definition's.
        rate_limit: How many may begin within a period, instead of the definition's.
        delay: How long the job waits first.
        run_at: The aware moment it waits for.
        expires_at: The aware moment by which it must have begun; a job that has not is cancelled
            and runs no more. One that has begun is not stopped by it.
        expires_in: The same as a span from now.
        queue: The name of the declared queue it runs on, instead of the definition's; some worker
            that has the job must serve it.
        priority: From -100 to 100; the definition's where absent.
        engines: The engines it may run on, in order; the definition's where absent.
        tags: Words to find the job by, besides the definition's.
        shard: What the job belongs to, such as a tenant's id: with several ledgers it decides which
            one records the job, and there must be one. With one ledger it changes nothing.
        session: A SQLAlchemy `Session` or `Connection` on the ledger's database: the job is
            recorded in its transaction, is there if that commits, and is offered then. For
            `dispatch_job_async` it is an `AsyncSession` or an `AsyncConnection`.
        confirm: `engine` returns when an engine has the job, `pickup` when a worker has.
        budget: How long handing the job over may take; with a `session`, from its commit on. The
            jobs of `dispatch_many` are handed over together: it is 10 ms longer for each of them.
        pickup: How long a worker may take to claim it; the queue's deadline where absent.
    """

    job_id: str
    idempotency_key: str
    idempotency_for: timedelta
    on_duplicate: OnDuplicate
    unique: Unique | None
    debounce: Debounce | None
    throttle: Throttle | None
    concurrency: Concurrency | None
    rate_limit: RateLimit | None
    delay: timedelta
    run_at: datetime
    expires_at: datetime
    expires_in: timedelta
    queue: str
    priority: int
    engines: Sequence[str]
    tags: Sequence[str]
    shard: str
    session: object
    confirm: Literal["engine", "pickup"]
    budget: timedelta
    pickup: timedelta


def random_id(clock: Clock) -> str:
    """Return an id of a new job, which no other has."""
    # The time comes first, so that new jobs are adjacent in the ledger's index.
    return id_at(clock.now(), secrets.token_hex(ID_BYTES))


def id_at(moment: datetime, rest: str) -> str:
    """Return the id of a job that is made at a moment; `rest` is `ID_BYTES` in hexadecimal."""
    return f"{int(moment.timestamp() * 1000):012x}{rest}"


def new_job(
    definition: AnyDefinition,
    payload: BaseModel,
    options: DispatchOptions,
    clock: Clock,
    *,
    ids: Ids = random_id,
) -> NewJob:
    """Make the job of a dispatch, with an id of `ids` where the options have none.

    Raises:
        DispatchError: If the payload or an option is wrong; nothing is stored then.
    """
    return JobMaker(definition, options, clock, ids).job(payload)


class JobMaker:
    """Makes the jobs of one definition and one set of options, which are checked once."""

    def __init__(
        self, definition: AnyDefinition, options: DispatchOptions, clock: Clock, ids: Ids
    ) -> None:
        """Check the options.

        Raises:
            DispatchError: One is wrong.
        """
        check_job(definition)
        if options:
            check_options(options, DispatchOptions.__annotations__)
            _check_time(options)
            _check_choices(options)
            _check_expiry(options, clock.now())
        self._definition = definition
        self._options = options
        self._clock = clock
        self._ids = ids
        self._identity = identity_of(definition, options)
        self._key_for = _key_for(definition, options)
        self._follow_ups = follow_ups_of(definition).text
        self._tags: tuple[str, ...] = (*definition.tags, *options.get("tags", ()))
        self._engines = tuple(options.get("engines", definition.engines))

    def job(self, payload: BaseModel) -> NewJob:
        """Make the job of a payload.

        Raises:
            DispatchError: If the payload is wrong, or does not go with an option.
        """
        definition, options = self._definition, self._options
        text = encode_payload(payload, definition.payload_type, MAX_PAYLOAD_BYTES)
        new = NewJob(
            id=options.get("job_id") or self._ids(self._clock),
            name=definition.name,
            queue=options.get("queue", definition.queue.name),
            payload=text,
            payload_sha=digest(text),
            idempotency_key=options.get("idempotency_key"),
            key_for=self._key_for,
            delay=options.get("delay"),
            run_at=options.get("run_at"),
            priority=options.get("priority", definition.priority),
            engines=self._engines,
            tags=self._tags,
            version=definition.version,
            follow_ups=self._follow_ups,
            expires_at=options.get("expires_at"),
            expires_in=options.get("expires_in"),
            limits=_limits(definition, payload, options),
        )
        if self._identity is None:
            return new
        return _with_identity(new, self._identity, payload, options)


def _limits(definition: AnyDefinition, payload: BaseModel, options: DispatchOptions) -> Limits:
    concurrency = options.get("concurrency", definition.concurrency)
    rate_limit = options.get("rate_limit", definition.rate_limit)
    for limit in (concurrency, rate_limit):
        if limit is not None:
            _check_fields(limit.by, payload)
    return limits_of(definition.name, payload, concurrency, rate_limit)


def _check_fields(by: tuple[str, ...], payload: BaseModel) -> None:
    if unknown := unknown_fields(by, type(payload)):
        raise OptionInvalidError(f"expected {unknown}")


def identity_of(definition: AnyDefinition, options: DispatchOptions) -> Identity | None:
    """Return what makes this dispatch the same as others: its own option, or the definition's."""
    given = _given_identities(options)
    _expect(len(given) <= 1, f"one of {', '.join(IDENTITIES)}", "several")
    return given[0] if given else definition.identity


def _given_identities(options: DispatchOptions) -> list[Identity | None]:
    given = cast("Mapping[str, Any]", options)
    return [given[name] for name in IDENTITIES if name in given]


def on_duplicate(definition: AnyDefinition, options: DispatchOptions) -> OnDuplicate:
    """Return what this dispatch does if the job is there already."""
    if isinstance(identity_of(definition, options), Debounce):
        return "replace"
    return options.get("on_duplicate", "return_existing")


def _with_identity(
    new: NewJob, identity: Identity, payload: BaseModel, options: DispatchOptions
) -> NewJob:
    _check_fields(identity.by, payload)
    kind = type(identity).__name__.lower()
    if isinstance(identity, Throttle):
        _expect(options.get("on_duplicate") != "replace", f"no replace with a {kind}", "replace")
    new = replace(new, unique=identity.key(payload))
    if not isinstance(identity, Debounce):
        return new
    for name in ("delay", "run_at", "on_duplicate", "idempotency_key", "job_id"):
        _expect(name not in options, f"no {name} with a {kind}", name)
    _expect(options.get("session") is None, "no session with a debounce", "one")
    return replace(new, delay=identity.period, latest_in=identity.max_wait)


def _key_for(definition: AnyDefinition, options: DispatchOptions) -> timedelta | None:
    span = options.get("idempotency_for", definition.idempotency_for)
    named = options.get("idempotency_key") is not None or options.get("job_id") is not None
    given = "idempotency_for" in options
    _expect(named or not given, "a key or a job_id with an idempotency_for", "neither")
    return span if named else None


def _check_time(options: DispatchOptions) -> None:
    delay, run_at = options.get("delay"), options.get("run_at")
    _expect(delay is None or run_at is None, "a delay or a run_at", "both")


def _check_expiry(options: DispatchOptions, now: datetime) -> None:
    moment, span = options.get("expires_at"), options.get("expires_in")
    _expect(moment is None or span is None, "an expires_at or an expires_in", "both")
    expires = moment if span is None else now + span
    if expires is None:
        return
    _EXPECT.value(expires > now, "an expires_at in the future", expires)
    begins = options.get("run_at") or now + options.get("delay", timedelta(0))
    _EXPECT.value(expires > begins, f"an expiry after the job's time, {begins}", expires)


def _check_choices(options: DispatchOptions) -> None:
    duplicate, confirm = options.get("on_duplicate"), options.get("confirm")
    if options.get("session") is not None:
        _expect(confirm != "pickup", "no confirm='pickup' before the session commits", "it")
        _expect(duplicate != "replace", "no on_duplicate='replace' with a session", "it")
