"""Records that fit no payload: each is kept as a failed job, and may be tried again.

The job's handler fits the record once more. In the program that read it that fails at once, and
the job is a dead letter, with the record in it. After a deploy of code that it fits, a retry of
the dead letter dispatches the record's job, under the key that the record has.
"""

from base64 import b64decode, b64encode
from datetime import timedelta
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from failsoft.engine_api import (
    DispatchError,
    DispatchOptions,
    DispatchRequest,
    JobContext,
    JobDefinition,
    NonRetryableError,
    Retention,
    declare_job,
    dispatch_job,
    redacted,
    ship,
)
from failsoft.engines.kafka.consuming.declaration import Consumption, consumption_of
from failsoft.engines.kafka.consuming.record import Record

#: The largest key, value and headers of a record that is kept whole, in bytes together: in base64 a
#: payload of the ledger has room for them.
MAX_KEPT_BYTES = 40_000
MAX_WHY_CHARS = 500


class UnfitRecord(BaseModel):
    """A record that does not fit its job, and why.

    Attributes:
        engine: The name of the engine that leads to its Kafka.
        topic: Where it is.
        partition: The same.
        offset: The same.
        timestamp_ms: When it was made, in milliseconds since 1970.
        job: The job that it should have become.
        why: Why it does not fit.
        key: In base64; None if it has none.
        value: In base64; None if it has none, or is too large to be kept.
        headers: Names and values in base64; left out of a record that is too large.
        omitted: How many bytes were too many to be kept; 0 if it is here as a whole.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    engine: str
    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    job: str
    why: str
    key: str | None = None
    value: str | None = None
    headers: tuple[tuple[str, str | None], ...] = ()
    omitted: int = 0

    @classmethod
    def of(cls, record: Record, consumption: Consumption, error: Exception) -> "UnfitRecord":
        """Return what is kept of a record."""
        size = len(record.key or b"") + len(record.value or b"")
        size += sum(len(name.encode()) + len(value or b"") for name, value in record.headers)
        is_whole = size <= MAX_KEPT_BYTES
        kept = record if is_whole else Record(record.topic, record.partition, record.offset)
        return cls(
            engine=consumption.engine,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            timestamp_ms=record.timestamp_ms,
            job=consumption.job.name,
            why=why(error),
            key=_text(kept.key),
            value=_text(kept.value),
            headers=tuple((name, _text(value)) for name, value in kept.headers),
            omitted=0 if is_whole else size,
        )

    def record(self) -> Record:
        """Return the record.

        Raises:
            NonRetryableError: It was too large to be kept.
        """
        if self.omitted:
            raise NonRetryableError(
                f"{self.topic}/{self.partition}/{self.offset}, a record of {self.omitted} bytes, "
                f"is not kept here, and does not fit {self.job}: {self.why}"
            )
        headers = tuple((name, _bytes(value)) for name, value in self.headers)
        return Record(
            *(self.topic, self.partition, self.offset, self.timestamp_ms),
            *(_bytes(self.key), _bytes(self.value), headers),
        )


class Refitted(BaseModel):
    """What a record has become after all.

    Attributes:
        job_id: Its job; None if the code lets it become none.
    """

    job_id: str | None


def _fit_again(payload: UnfitRecord, ctx: JobContext) -> Refitted:
    consumption = consumption_of(payload.engine, payload.topic, payload.job)
    record = payload.record()
    if consumption is None:
        raise NonRetryableError(f"no job {payload.job} consumes {payload.topic} in this program")
    try:
        request = consumption.fit(record)
    except Exception as error:  # noqa: BLE001 - the program's own code may raise anything
        raise NonRetryableError(
            f"{record.place} does not fit {payload.job}: {why(error)}"
        ) from None
    if request is None:
        return Refitted(job_id=None)
    try:
        handle = dispatch_job(consumption.job, request.payload, **request.options)
    except DispatchError as error:
        raise NonRetryableError(f"{record.place} does not fit {payload.job}: {error}") from None
    return Refitted(job_id=handle.id)


#: The job of a record that does not fit; in the queue of the job that it should have become.
unfit_kafka_record: JobDefinition[UnfitRecord, Refitted] = declare_job(
    "unfit_kafka_record",
    payload=UnfitRecord,
    result=Refitted,
    keep_failed=Retention(age=timedelta(days=30)),
).bind(_fit_again)
ship(unfit_kafka_record)


def unfit(
    record: Record, consumption: Consumption, error: Exception
) -> DispatchRequest[UnfitRecord]:
    """Return the dispatch of a record that does not fit: one job of its own, like any other."""
    options = DispatchOptions(
        idempotency_key=record.identity,
        idempotency_for=consumption.remembered_for,
        queue=consumption.job.queue.name,
    )
    if consumption.shard is not None:
        # What its shard is may be just what cannot be read: its place says it.
        options["shard"] = record.identity
    return DispatchRequest(UnfitRecord.of(record, consumption, error), options)


def why(error: Exception) -> str:
    """Return why a record does not fit, without what it says: that is no matter for a log."""
    if isinstance(error, ValidationError):
        found = error.errors(include_input=False, include_url=False, include_context=False)
        text = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in found)
    else:
        text = f"{type(error).__name__}: {error}"
    return redacted(text)[:MAX_WHY_CHARS].replace("\0", "�").encode(errors="replace").decode()


def _text(value: bytes | None) -> str | None:
    return None if value is None else b64encode(value).decode("ascii")


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)
