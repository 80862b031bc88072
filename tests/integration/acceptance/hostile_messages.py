"""Messages that no dispatcher of ours sent, by a client that can write to a broker.

Each would touch the canary file if anything of it were called.
"""

import json
import os
import pickle
import zlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from redis import Redis

from failsoft.dispatcher import JobHandle
from failsoft.job_engine.records.message import VERSION, Message
from failsoft.queue.safe_job import ENTRY_POINT
from tests.deployments.deployment import Deployment

RqHash = dict[str, str | bytes]

#: Decades from now, in Dramatiq's milliseconds.
FAR_AWAY = 4_000_000_000_000
CALLED = "os.system"
NOWHERE = "http://127.0.0.1:9/"


class Bomb:
    """Calls `os.system` when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


def command(canary: Path) -> str:
    return f"touch {canary}"


def pickled(canary: Path) -> bytes:
    return pickle.dumps(Bomb(command(canary)))


def forged(deployment: Deployment, handle: JobHandle[int]) -> dict[str, object]:
    """Messages that look like ours and are not; each must be rejected."""
    good = deployment.app.keys.sign(handle.id, handle.job().epoch, "rq")
    wire = good.to_wire()
    return {
        "a wrong MAC": replace(good, mac="0" * 64).to_wire(),
        "a MAC for another job": replace(good, job_id="another").to_wire(),
        "a MAC for another epoch": replace(good, epoch=good.epoch + 1).to_wire(),
        "a MAC for another engine": _signed_for_nobody(deployment, handle).to_wire(),
        "an unknown key": replace(good, kid="no-such-key").to_wire(),
        "a later version": wire | {"v": VERSION + 1},
        "an earlier version": wire | {"v": VERSION - 1},
        "an epoch that is no number": wire | {"epoch": "1"},
        "an id that is no id": wire | {"job_id": "../../etc/passwd"},
        "a field too many": wire | {"callback": CALLED},
        "a field too few": {"v": VERSION, "job_id": handle.id},
        "no object": "touch",
        "far too much": wire | {"mac": "0" * 3000},
    }


def replayed(deployment: Deployment, handle: JobHandle[int], engine: str) -> dict[str, Any]:
    """The genuine message of an offer that is over; it must be refused."""
    return deployment.app.keys.sign(handle.id, handle.job().epoch, engine).to_wire()


def _signed_for_nobody(deployment: Deployment, handle: JobHandle[int]) -> Message:
    return deployment.app.keys.sign(handle.id, handle.job().epoch, "nobody")


def rq_hash(data: bytes, **fields: str | bytes) -> RqHash:
    """A job as RQ stores it."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    usual: RqHash = {"created_at": now, "enqueued_at": now, "status": "queued", "data": data}
    return {**usual, "origin": "failsoft-threads", **fields}


def rq_call(name: str, *args: object, **kwargs: object) -> bytes:
    """What a job calls, as RQ stores it: function, instance, arguments."""
    return zlib.compress(json.dumps([name, None, args, kwargs]).encode())


def plant_in_rq(client: Redis, queue: str, name: str, job: RqHash) -> None:
    """Put a job where RQ's workers look for it."""
    client.hset(f"rq:job:{name}", items=[part for field in job.items() for part in field])
    client.rpush(f"rq:queue:{queue}", name)


def rq_jobs(canary: Path, good: Mapping[str, Any]) -> dict[str, RqHash]:
    """RQ jobs that must be rejected whatever message they carry."""
    touch = command(canary)
    in_json = json.dumps([CALLED, None, [touch], {}]).encode()
    method = json.dumps(["system", "os", [touch], {}]).encode()
    return {
        "os-system": rq_hash(rq_call(CALLED, touch)),
        "not-compressed": rq_hash(in_json),
        "method": rq_hash(zlib.compress(method)),
        "pickle": rq_hash(zlib.compress(pickled(canary))),
        "pickle-of-a-job": rq_hash(zlib.compress(pickle.dumps((CALLED, None, (touch,), {})))),
        "garbage": rq_hash(b"\x00\xff\xfe garbage"),
        "bomb": rq_hash(zlib.compress(b"[" * 10_000_000)),
        "no-argument": rq_hash(rq_call(ENTRY_POINT)),
        "two-arguments": rq_hash(rq_call(ENTRY_POINT, good, touch)),
        "kwargs": rq_hash(rq_call(ENTRY_POINT, good, callback=CALLED)),
        "builtin": rq_hash(rq_call("exec", f"__import__('os').system('{touch}')")),
    }


def rq_bad_dates(wire: object) -> RqHash:
    """An RQ job of ours whose other fields are nonsense: our worker reads none of them."""
    return rq_hash(rq_call(ENTRY_POINT, wire), created_at="never", status="\x00")


def rq_forgeries(wires: Mapping[str, object]) -> dict[str, RqHash]:
    """RQ jobs that call our entry point with messages that are not ours."""
    return {name.replace(" ", "-"): rq_bell(wire) for name, wire in wires.items()}


def rq_bell(wire: object) -> RqHash:
    """An RQ job with a message, and with every field that makes RQ call something at its end."""
    names = {f"{when}_callback_name": CALLED for when in ("success", "failure", "stopped")}
    hook = {"url": NOWHERE, "statuses": ["finished", "failed", "stopped"]}
    again = {"webhooks": json.dumps([hook]), "retries_left": "9", "repeats_left": "9"}
    return rq_hash(rq_call(ENTRY_POINT, wire), **names, **again)


def dramatiq_envelope(*args: object, actor: str = "failsoft", **options: object) -> bytes:
    """A message as Dramatiq's own brokers send it."""
    fields = {"queue_name": "failsoft-threads", "actor_name": actor, "args": args, "kwargs": {}}
    rest = {"options": options, "message_id": "stranger", "message_timestamp": 0}
    return json.dumps(fields | rest).encode()


def dramatiq_bodies(canary: Path) -> dict[str, bytes]:
    """Dramatiq messages that must be rejected."""
    touch = command(canary)
    return {
        "garbage": b"\x00\xff\xfe garbage",
        "pickle": pickled(canary),
        "no object": b"[1, 2, 3]",
        "nothing": b"",
        "deep": b"[" * 900,
        "unknown actor": dramatiq_envelope(touch, actor=CALLED),
        "no argument": dramatiq_envelope(),
        "far away": dramatiq_envelope(touch, eta=FAR_AWAY),
        "callbacks": dramatiq_envelope(touch, on_success=CALLED, pipe_target={"actor": CALLED}),
    }
