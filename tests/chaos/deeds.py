"""The mixed workload: which job, which steps, which options; the seed decides."""

from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any

from tests.chaos.jobs import JOBS, MAX_ATTEMPTS, Deed
from understudy.dispatcher import DispatchOptions
from understudy.job_engine import JobDefinition

#: A step that outlasts RabbitMQ's consumer timeout and every lease.
LONG_STEP = 3.5
#: How long one key is the current one, in seconds.
KEY_SPAN = 2


@dataclass(frozen=True)
class Request:
    """What a dispatcher asks for.

    Attributes:
        cancel_after: After how many seconds it is cancelled again; None: never.
        read_after: After how many seconds its state is read.
    """

    job: JobDefinition[Deed, int]
    deed: Deed
    options: DispatchOptions
    cancel_after: float | None = None
    read_after: float | None = None


def request(rng: Random, label: str) -> Request:
    """Make a request that nobody else makes."""
    return Request(
        rng.choices(JOBS, (3, 2))[0],
        deed(rng, label),
        _options(rng),
        rng.uniform(0, 1.5) if rng.random() < 0.12 else None,
        rng.uniform(0, 2.0) if rng.random() < 0.3 else None,
    )


def keyed_request(seed: str, seconds: float, *, other_work: bool = False) -> Request:
    """Make the request that every dispatcher makes under the key of these seconds."""
    key = f"key-{int(seconds // KEY_SPAN)}"
    rng = Random(f"{seed}:{key}")
    job, work = rng.choice(JOBS), deed(rng, key)
    if other_work:
        work = work.model_copy(update={"paces": [*work.paces, 0.0]})
    return Request(job, work, {"idempotency_key": key})


def deed(rng: Random, label: str) -> Deed:
    """Make work of one to six steps; some sleep, some raise, a few take long."""
    paces = [round(rng.choice((0.0, 0.02, 0.05, 0.2)), 3) for _ in range(rng.randint(1, 6))]
    if rng.random() < 0.1:
        paces[rng.randrange(len(paces))] = LONG_STEP
    sleeps, raises, once = rng.random() < 0.15, rng.random() < 0.2, rng.random() < 0.25
    return Deed(
        label=label,
        paces=paces,
        sleep_after=rng.randint(1, len(paces)) if sleeps else 0,
        fails_at=rng.randint(1, len(paces)) if raises else 0,
        failures=rng.choice((1, 1, 2, MAX_ATTEMPTS * 10)) if raises else 0,
        once_at=rng.randint(1, len(paces)) if once else 0,
        verified=rng.random() < 0.5,
    )


def _options(rng: Random) -> DispatchOptions:
    choices: list[tuple[float, dict[str, Any]]] = [
        (0.1, {"delay": timedelta(seconds=rng.uniform(0.1, 2))}),
        (0.05, {"engines": ("dramatiq",)}),
        (0.03, {"engines": ("dramatiq", "rq")}),
        (0.05, {"confirm": "pickup"}),
        (0.1, {"priority": rng.randint(-10, 10)}),
    ]
    options = DispatchOptions()
    for share, option in choices:
        if rng.random() < share:
            options.update(option)  # type: ignore[typeddict-item]  # chosen from the list above
    return options
