"""The mixed workload: what jobs are to do; the seed decides."""

from random import Random
from typing import Any

from tests.chaos.workload.queues import MAX_ATTEMPTS
from tests.chaos.workload.script import Script

#: A step that outlasts RabbitMQ's consumer timeout and every lease.
LONG_STEP = 3.5
#: The steps that may run side by side, at the most.
WIDEST = 4
CUSTOMERS = ("acme", "borg", "umbra")


def random_script(rng: Random, label: str) -> Script:
    """Make work of one to six steps; some sleep, some raise, a few take long."""
    paces = [round(rng.choice((0.0, 0.02, 0.05, 0.2)), 3) for _ in range(rng.randint(1, 6))]
    if rng.random() < 0.1:
        paces[rng.randrange(len(paces))] = LONG_STEP
    sleeps, raises, once = rng.random() < 0.15, rng.random() < 0.2, rng.random() < 0.25
    plain = Script(
        label=label,
        paces=paces,
        sleep_after=rng.randint(1, len(paces)) if sleeps else 0,
        fails_at=rng.randint(1, len(paces)) if raises else 0,
        failures=rng.choice((1, 1, 2, MAX_ATTEMPTS * 10)) if raises else 0,
        once_at=rng.randint(1, len(paces)) if once else 0,
        verified=rng.random() < 0.5,
    )
    return plain.model_copy(update=_more(rng, plain))


def short_script(rng: Random, label: str, **more: Any) -> Script:
    """Make work for a job that others wait for: short, and never in doubt; some of it fails."""
    paces = [rng.choice((0.0, 0.02, 0.1)) for _ in range(rng.randint(1, 2))]
    raises = rng.random() < 0.15
    usual = Script(
        label=label,
        paces=paces,
        fails_at=len(paces) if raises else 0,
        failures=rng.choice((1, MAX_ATTEMPTS * 10)) if raises else 0,
        tx_at=1 if rng.random() < 0.2 else 0,
    )
    return usual.model_copy(update=more)


def _more(rng: Random, plain: Script) -> dict[str, Any]:
    """Add what only some do: a transaction, steps side by side, waits, a child."""
    steps = len(plain.paces)
    more: dict[str, Any] = {}
    if rng.random() < 0.25:
        more["tx_at"] = _any_but(rng, steps, plain.once_at)
    if steps > 2 and rng.random() < 0.25:
        more["beside"] = _stretch(rng, steps, {plain.once_at, more.get("tx_at", 0)})
    if rng.random() < 0.12:
        more |= {"waits_after": rng.randint(1, steps), "by_key": rng.random() < 0.5}
    if rng.random() < 0.1:
        child = short_script(rng, f"{plain.label}'s child")
        more |= {"invokes_after": rng.randint(1, steps), "child": child}
    return more | _after_the_stretch(plain.model_copy(update=more))


def _after_the_stretch(plain: Script) -> dict[str, Any]:
    """Let what comes after a step come after all that run beside it."""
    first, last = plain.beside
    names = ("sleep_after", "waits_after", "invokes_after")
    return {name: last for name in names if first <= getattr(plain, name) < last}


def _any_but(rng: Random, steps: int, taken: int) -> int:
    number = rng.randint(1, steps)
    return 0 if number == taken else number


def _stretch(rng: Random, steps: int, taken: set[int]) -> tuple[int, int]:
    first = rng.randint(1, steps - 1)
    last = rng.randint(first + 1, min(steps, first + WIDEST - 1))
    return (0, 0) if taken & set(range(first, last + 1)) else (first, last)
