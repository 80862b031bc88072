"""What waits in a queue of plain RQ, as jobs; nothing of it is unpickled."""

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from pydantic import ValidationError
from rq import Queue
from rq.job import Job

from failsoft.adoption.draining import Drained, Pending, chunks, drain_from
from failsoft.adoption.redis_queue import RedisQueue, answering, connected
from failsoft.adoption.rq.call import FunctionCall
from failsoft.adoption.rq.queue import definition_of
from failsoft.api import DispatchOptions, Link
from failsoft.job_engine.definitions.callables import CallableRefusedError, expect_allowed
from failsoft.job_engine.policies.queue import queue_profile

#: What a pickle begins with, of any but the two oldest formats.
_PICKLE = b"\x80"
#: The fields of a job in Redis that are not carried over, and what each is.
_REFUSED: Mapping[str, str] = {
    "success_callback_name": "on_success",
    "stopped_callback_name": "on_stopped",
    "webhooks": "webhooks",
    "repeats_left": "repeat",
    "rate_limit_key": "rate_limit",
    "group_id": "a group",
}


class _UnfitError(Exception):
    """A job cannot be moved; the message says why, and what to do."""


def drain(queue: str, url: str, *, to: str | None = None, dry_run: bool = False) -> Drained:
    """Dispatch what waits in a queue of plain RQ, and what is scheduled there.

    Args:
        queue: Its name.
        url: The URL of its Redis.
        to: The declared queue that its jobs go to; the one of its name where None.
        dry_run: Whether only to say what would become of it.

    Raises:
        UnknownQueueError: No such queue is declared.
        EngineUnavailableError: Redis did not answer; another drain goes on.
        LedgerUnavailableError: The ledger did not answer; another drain goes on.
    """
    target = queue_profile(to or queue).name
    return drain_from(_RqSource(url, queue, target), dry_run=dry_run)


class _RqSource:
    def __init__(self, url: str, name: str, target: str) -> None:
        self._client = connected(url)
        self._target = target
        prefix = Queue.redis_queue_namespace_prefix
        self._places = [
            RedisQueue(self._client, waiting, f"failsoft:adopting:{kind}:{name}", Job.key_for)
            for kind, waiting in (
                ("rq", f"{prefix}{name}"),
                ("rq-scheduled", f"rq:scheduled:{name}"),
            )
        ]

    def left(self) -> Iterable[Pending]:
        for place in self._places:
            yield from self._read(place, place.taken())

    def pending(self) -> Iterable[Pending]:
        for place in self._places:
            yield from self._read(place, place.waiting())

    def is_there(self, pending: Pending) -> bool:
        place, score = pending.handle
        return bool(place.is_waiting(pending.id, score))

    def take(self, pending: Sequence[Pending]) -> Sequence[bool]:
        return [
            ours
            for place, some in groupby(pending, key=_place)
            for ours in place.take([(each.id, each.handle[1]) for each in some])
        ]

    def finish(self, done: Sequence[Pending]) -> None:
        for place, some in groupby(done, key=_place):
            place.finish([each.id for each in some])

    def give_back(self, pending: Pending) -> bool:
        place, score = pending.handle
        return bool(place.give_back(pending.id, score))

    def close(self) -> None:
        self._client.close()

    def _read(self, place: RedisQueue, ids: Iterable[tuple[str, str]]) -> Iterator[Pending]:
        for some in chunks(ids):
            with answering(), self._client.pipeline(transaction=False) as pipe:
                for job_id, _ in some:
                    pipe.hgetall(Job.key_for(job_id))
                    pipe.exists(Job.dependents_key_for(job_id))
                found: Any = pipe.execute()
            for (job_id, score), raw, dependents in zip(some, found[::2], found[1::2], strict=True):
                fields = {key.decode(): value for key, value in raw.items()}
                try:
                    call = _call_of(fields, has_dependents=bool(dependents))
                except _UnfitError as error:
                    yield Pending(job_id, refusal=str(error), handle=(place, score))
                    continue
                link = Link(definition_of(call), call, queue=self._target)
                options = _options(fields, score)
                yield Pending(job_id, (link,), options, handle=(place, score))


def _place(pending: Pending) -> RedisQueue:
    place: RedisQueue = pending.handle[0]
    return place


def _call_of(fields: Mapping[str, bytes], *, has_dependents: bool) -> FunctionCall:
    if "data" not in fields:
        raise _UnfitError("expected a job of RQ, got an id without one; RQ would skip it, too")
    path, instance, args, kwargs = _data(fields["data"])
    if instance is not None:
        raise _UnfitError("expected a function, got a method of an object; let RQ's workers run it")
    refused = [what for name, what in _REFUSED.items() if fields.get(name)]
    if has_dependents:
        refused.append("jobs that depend on it")
    if refused:
        raise _UnfitError(
            f"expected a job without {', '.join(refused)}, got one with it; let RQ's workers run it"
        )
    meta = _json("meta", fields["meta"]) if fields.get("meta") else {}
    intervals = _json("retry_intervals", fields.get("retry_intervals") or b"[]")
    timeout = float(fields.get("timeout") or 0)
    try:
        expect_allowed(path)
        return FunctionCall(
            path=path,
            args=args,
            kwargs=kwargs,
            retries=int(fields.get("retries_left") or 0),
            intervals=intervals if isinstance(intervals, list) else [intervals],
            timeout=timeout if timeout > 0 else None,
            meta=meta,
            description=fields["description"].decode() if fields.get("description") else None,
            on_failure=(fields.get("failure_callback_name") or b"").decode() or None,
        )
    except CallableRefusedError as error:
        raise _UnfitError(str(error)) from error
    except ValidationError as error:
        raise _UnfitError("expected a job as RQ writes it, got another; let RQ run it") from error


def _data(raw: bytes) -> tuple[str, object, Any, Any]:
    try:
        data = zlib.decompress(raw)
    except zlib.error:
        data = raw
    found = _json("arguments", data)
    try:
        path, instance, args, kwargs = found
    except (TypeError, ValueError):
        raise _UnfitError("expected a job as RQ writes it, got another; let RQ run it") from None
    return path, instance, args, kwargs


def _json(what: str, data: bytes) -> Any:
    if data.startswith(_PICKLE):
        raise _UnfitError(
            f"expected {what} as JSON, got a pickle, which is never read: it would run code of "
            "whatever can write to Redis; let RQ's workers run it (`rq worker --burst`), or "
            'enqueue it with serializer="json"'
        )
    try:
        return json.loads(data)
    except ValueError:
        raise _UnfitError(
            f"expected {what} as JSON, got another encoding; let RQ's workers run it, or enqueue "
            'it with serializer="json"'
        ) from None


def _options(fields: Mapping[str, bytes], score: str) -> DispatchOptions:
    options = DispatchOptions()
    if score:
        options["run_at"] = datetime.fromtimestamp(float(score), UTC)
    ttl = int(fields.get("ttl") or 0)
    if ttl > 0 and not score:
        options["expires_in"] = timedelta(seconds=ttl)
    return options
