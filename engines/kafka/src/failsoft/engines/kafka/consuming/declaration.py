"""`@consumes`: which topics a job's payloads come from."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, TypeVar

from pydantic import BaseModel

from failsoft.engine_api import (
    AnyDefinition,
    DefinitionError,
    DispatchOptions,
    DispatchRequest,
    Expect,
    JobDefinition,
)
from failsoft.engines.kafka.consuming.record import Record

P = TypeVar("P", bound=BaseModel)
R = TypeVar("R")

#: How long it is remembered which job a record became. A group whose offsets are lost, or set back,
#: reads what the topic still has: seven days by default.
REMEMBERED_FOR = timedelta(days=14)
#: The longest key, which an idempotency key of the ledger is made of.
MAX_KEY_CHARS = 200

Begin = Literal["earliest", "latest"]

_TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")


@dataclass(frozen=True, slots=True)
class Consumption:
    """A job that a topic's records become.

    Attributes:
        job: The job.
        topic: The topic.
        engine: The name of the engine whose settings lead to Kafka.
        group: The consumer group; None for one of the job's own.
        payload: Makes the payload of a record; None for JSON of the job's model. It may return
            None for a record that is to become no job.
        key: Names what a record reports, where its producer may have written it twice.
        shard: Names the shard of a record's job, where there are several ledgers.
        begin: Where a group begins that has no offsets yet.
        remembered_for: How long it is remembered which job a record became.
    """

    job: AnyDefinition
    topic: str
    engine: str = "kafka"
    group: str | None = None
    payload: Callable[[Record], BaseModel | None] | None = None
    key: Callable[[Record], str] | None = None
    shard: Callable[[Record], str] | None = None
    begin: Begin = "earliest"
    remembered_for: timedelta = REMEMBERED_FOR

    def group_in(self, namespace: str) -> str:
        """Return the consumer group."""
        # No queue's group has a dot there: `failsoft-default` is the engine's own.
        return self.group or f"{namespace}.{self.job.name}"

    def fit(self, record: Record) -> DispatchRequest[Any] | None:
        """Return the dispatch of a record's job; None if it is to become none.

        Raises:
            Exception: Whatever the model, or the program's functions, raise: it does not fit.
        """
        payload = self._payload_of(record)
        if payload is None:
            return None
        return DispatchRequest(payload, self.options_of(record))

    def options_of(self, record: Record) -> DispatchOptions:
        """Return the options of the dispatch: the key that makes it one job a record.

        Raises:
            Exception: Whatever the program's functions raise, or `ValueError` for no key.
        """
        key = record.identity if self.key is None else _expect_key(self.key(record))
        options = DispatchOptions(idempotency_for=self.remembered_for)
        if self.shard is not None:
            options["shard"] = _expect_key(self.shard(record))
            key = f"{options['shard']}-{key}"
        options["idempotency_key"] = key
        return options

    def _payload_of(self, record: Record) -> BaseModel | None:
        if self.payload is not None:
            return self.payload(record)
        if record.value is None:
            raise ValueError(
                "expected a value, got none, which is a tombstone; consumes(..., payload=) may "
                "return None for a record that is to become no job"
            )
        made: BaseModel = self.job.payload_type.model_validate_json(record.value)
        return made


_declared: dict[tuple[str, str, str], Consumption] = {}


def consumes(  # noqa: PLR0913 - a declaration of independent options, by name
    topic: str,
    *,
    group: str | None = None,
    payload: Callable[[Record], BaseModel | None] | None = None,
    key: Callable[[Record], str] | None = None,
    shard: Callable[[Record], str] | None = None,
    begin: Begin = "earliest",
    remembered_for: timedelta = REMEMBERED_FOR,
    engine: str = "kafka",
) -> Callable[[JobDefinition[P, R]], JobDefinition[P, R]]:
    """Let each record of a topic become one job; put it above `@job`.

    A record's job is in the ledger before its offset is committed, under a key made of topic,
    partition and offset: exactly one job a record, whichever consumer dies (rule 27). A record that
    does not fit the job's payload is kept as a failed job `unfit_kafka_record`.

    Args:
        topic: The topic.
        group: The consumer group; one of the job's own by default.
        payload: Makes the payload of a record; by default its value is read as JSON by the job's
            model. A record for which it returns None becomes no job.
        key: Returns what names that which a record reports, where the producer may have written it
            twice: one job for each such name, instead of one a record.
        shard: Returns the shard of a record's job; needed where there are several ledgers.
        begin: Where a group begins that has no offsets yet.
        remembered_for: How long it is remembered which job a record became; longer than the topic
            keeps its records.
        engine: The engine's name, where it has an alias.

    Raises:
        DefinitionError: One of them is wrong, or another job has the topic in that group.
    """
    expect = Expect(DefinitionError, f"consumes {topic!r}: ")
    expect.matching("a topic of 1 to 249 letters, digits, dots, dashes and _", topic, _TOPIC)
    if group is not None:
        expect.text("a group", group, most=255)
    functions: Mapping[str, object] = {"payload": payload, "key": key, "shard": shard}
    for name, function in functions.items():
        if function is not None:
            expect.callable(f"a {name} that can be called with a record", function)
    expect.one_of("begin", begin, ("earliest", "latest"))
    expect.span("a remembered_for", remembered_for)
    expect.text("an engine", engine, most=64)

    def declare(definition: JobDefinition[P, R]) -> JobDefinition[P, R]:
        todo = "put @consumes above @job"
        expect.a(JobDefinition, "a job's definition", definition, todo)
        made = Consumption(
            *(definition, topic, engine, group, payload, key, shard, begin, remembered_for)
        )
        # A module that is imported again declares its own once more.
        _declared[engine, topic, definition.name] = made
        return definition

    return declare


def consumption_of(engine: str, topic: str, job: str) -> Consumption | None:
    """Return what is declared of a job and a topic."""
    return _declared.get((engine, topic, job))


def consumptions(engine: str, namespace: str) -> dict[str, dict[str, Consumption]]:
    """Return what is declared for an engine: by group, and by topic.

    Raises:
        DefinitionError: Two jobs have one topic in one group, which would share its records.
    """
    found: dict[str, dict[str, Consumption]] = {}
    for each in _declared.values():
        if each.engine != engine:
            continue
        group = each.group_in(namespace)
        other = found.setdefault(group, {}).setdefault(each.topic, each)
        if other is not each:
            raise DefinitionError(
                f"expected one job for topic {each.topic} in group {group}, got {other.job.name} "
                f"and {each.job.name}, of which each would get a part of the records; give each a "
                "group"
            )
        _expect_same_begin(group, found[group])
    return found


def expect_shards(topics: Mapping[str, Consumption]) -> None:
    """Refuse topics whose records could become jobs in two of several ledgers.

    Raises:
        DefinitionError: One has no `shard=`.
    """
    for topic, each in topics.items():
        if each.shard is None:
            raise DefinitionError(
                f"expected consumes({topic!r}, shard=...) of job {each.job.name}, got none: jobs "
                "are divided among the ledgers of FAILSOFT_LEDGERS by it"
            )


def _expect_same_begin(group: str, topics: Mapping[str, Consumption]) -> None:
    if len({each.begin for each in topics.values()}) > 1:
        raise DefinitionError(
            f"expected one begin= for all topics of group {group}, got both; give each a group"
        )


def _expect_key(key: object) -> str:
    if not isinstance(key, str) or not 0 < len(key) <= MAX_KEY_CHARS:
        raise ValueError(f"expected a key of 1 to {MAX_KEY_CHARS} characters, got {key!r:.100}")
    return key
