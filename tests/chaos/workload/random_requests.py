"""The mixed workload: which requests are made, with which options; the seed decides."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any

from failsoft.dispatcher import DispatchOptions, DispatchRequest
from failsoft.job_engine import Link
from failsoft.job_engine.records.groups import When
from tests.chaos.workload.definitions import JOBS, LIMITED, in_thread, one_each
from tests.chaos.workload.handlers import WAIT
from tests.chaos.workload.operations import UNIQUE
from tests.chaos.workload.random_scripts import CUSTOMERS, random_script, short_script
from tests.chaos.workload.requests import Chain, Group, Later, Many, Request, Single, Within
from tests.chaos.workload.script import Script

#: How long one key is the current one, in seconds.
KEY_SPAN = 2
#: The shares of the requests of each kind; the others are of single jobs.
CHAINS, GROUPS, MANY, UNIQUES, LIMITS, WITHIN = 0.05, 0.05, 0.05, 0.08, 0.04, 0.06


def request(rng: Random, label: str, engines: Sequence[str]) -> Request:
    """Make a request that no other makes; some are for some of these engines only."""
    single = partial(_single, engines=engines)
    makers = (_chain, _group, _many, _unique, _limited, _within, single)
    shares = (CHAINS, GROUPS, MANY, UNIQUES, LIMITS, WITHIN)
    make = rng.choices(makers, (*shares, 1 - sum(shares)))[0]
    return make(rng, label)


def keyed_request(seed: str, seconds: float, *, other_work: bool = False) -> Single:
    """Make the request that every dispatcher makes under the key of these seconds."""
    key = f"key-{int(seconds // KEY_SPAN)}"
    rng = Random(f"{seed}:{key}")
    job, work = rng.choice(JOBS), random_script(rng, key)
    if other_work:
        work = work.model_copy(update={"paces": [*work.paces, 0.0]})
    return Single(job, work, {"idempotency_key": key}, Later(sends=_sends(rng, work)))


def _single(rng: Random, label: str, engines: Sequence[str]) -> Single:
    job, plain = rng.choices(JOBS, (4, 3, 2))[0], random_script(rng, label)
    timed, options = _timed(rng, plain)
    options.update(_options(rng, engines))
    return Single(job, timed, options, _later(rng, timed))


def _many(rng: Random, label: str) -> Many:
    requests = []
    for number in range(rng.randint(2, 4)):
        timed, options = _timed(rng, short_script(rng, f"{label}-{number}"))
        requests.append(DispatchRequest(timed, options))
    return Many(rng.choice(JOBS), requests, _later(rng, requests[0].payload))


def _unique(rng: Random, label: str) -> Single:
    customer = rng.choice(CUSTOMERS)
    named = short_script(rng, f"{label}@{customer}", customer=customer)
    return Single(one_each, named, {}, _later(rng, named), UNIQUE)


def _limited(rng: Random, label: str) -> Many:
    """Request more jobs of one customer's than may run at once."""
    customer = rng.choice(CUSTOMERS)
    scripts = [
        short_script(rng, f"{label}-{number}", customer=customer, paces=[0.0, 0.3])
        for number in range(rng.randint(3, 5))
    ]
    return Many(rng.choice(LIMITED), [DispatchRequest(each) for each in scripts])


def _within(rng: Random, label: str) -> Within:
    script = random_script(rng, label)
    return Within(rng.choice(JOBS), script, _later(rng, script))


def _chain(rng: Random, label: str) -> Chain:
    size = rng.randint(2, 3)
    links = []
    for place in range(size):
        fields = {"flow": label, "place": place, "size": size}
        link = short_script(rng, f"{label}-{place}", **fields)
        links.append(Link(rng.choice(JOBS), link, result_field="before" if place else None))
    return Chain(links, _later(rng, links[0].payload))


def _group(rng: Random, label: str) -> Group:
    size = rng.randint(2, 4)
    when: When = rng.choice(("all_ended", "all_succeeded"))
    fields: dict[str, Any] = {"flow": label, "size": size}
    links = [
        Link(rng.choice(JOBS), short_script(rng, f"{label}-{place}", place=place, **fields))
        for place in range(size)
    ]
    last = Script(label=f"{label}-over", place=size, when=when, **fields)
    completion = Link(in_thread, last, result_field="group")
    return Group(links, completion, when, _later(rng, links[0].payload))


def _timed(rng: Random, plain: Script) -> tuple[Script, DispatchOptions]:
    """Say when it is to begin, in its script and in its options."""
    fields: dict[str, Any] = {}
    options = DispatchOptions()
    if rng.random() < 0.1:
        fields["delay"] = round(rng.uniform(0.1, 2), 3)
        options["delay"] = timedelta(seconds=fields["delay"])
    if rng.random() < 0.06:
        fields["expires_in"] = round(fields.get("delay", 0.0) + rng.choice((0.02, 0.5, 3)), 3)
        options["expires_in"] = timedelta(seconds=fields["expires_in"])
    if rng.random() < 0.1:
        fields["priority"] = options["priority"] = rng.randint(-10, 10)
    return plain.model_copy(update=fields), options


def _options(rng: Random, engines: Sequence[str]) -> DispatchOptions:
    places = range(1, len(engines))
    choices: list[tuple[float, DispatchOptions]] = [
        *((0.05, DispatchOptions(engines=(engines[n],))) for n in places),
        *((0.03, DispatchOptions(engines=(*engines[n:], *engines[:n]))) for n in places),
        (0.05, DispatchOptions(confirm="pickup")),
    ]
    options = DispatchOptions()
    for share, option in choices:
        if rng.random() < share:
            options.update(option)
    return options


def _later(rng: Random, script: Script) -> Later:
    cancel, read = _perhaps(rng, 0.12, 1.5), _perhaps(rng, 0.3, 2.0)
    return Later(cancel, read, _sends(rng, script))


def _sends(rng: Random, script: Script) -> tuple[float, ...]:
    """Send what a script waits for mostly in time, before it waits or after; sometimes one only."""
    if not script.waits_after:
        return ()
    seconds = WAIT.total_seconds()
    return tuple(rng.uniform(0, 0.6 * seconds) for _ in range(rng.choice((1, 2, 2, 2, 3))))


def _perhaps(rng: Random, share: float, longest: float) -> float | None:
    return rng.uniform(0, longest) if rng.random() < share else None
