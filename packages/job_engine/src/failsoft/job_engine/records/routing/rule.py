"""Rules that share jobs among engines by weights; which rule covers a job, and what it chooses.

The choice is a function of the job's id and the weights alone, so that every process makes the same
one, and makes it again for every offer of the job (rule 23, decision 0075).
"""

import hashlib
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol, get_args

from failsoft.job_engine.errors import OptionInvalidError
from failsoft.job_engine.records.engine_switch import MAX_ENGINE_CHARS
from failsoft.job_engine.records.routing.guard import Guard, Trip
from failsoft.job_engine.validation import Expect, check_said

RouteKind = Literal["job", "tag", "queue", "default"]

#: What a rule may cover, the strongest first.
KINDS: tuple[RouteKind, ...] = get_args(RouteKind)
#: As queues, definitions and tags have them.
MAX_NAME_CHARS = 128
#: The most engines of one rule, and the largest weight.
MAX_ENGINES, MAX_WEIGHT = 16, 10_000

#: The bits of a hash that a float takes without rounding.
_BITS = 53


class Routable(Protocol):
    """What is looked at of a job."""

    @property
    def id(self) -> str:
        """Its id."""
        ...

    @property
    def name(self) -> str:
        """The name of its definition."""
        ...

    @property
    def queue(self) -> str:
        """The name of its queue."""
        ...

    @property
    def tags(self) -> Sequence[str]:
        """Its tags, those of its definition first."""
        ...

    @property
    def engines(self) -> Sequence[str]:
        """The engines that it may run on, in its own order; empty allows all."""
        ...


@dataclass(frozen=True, slots=True)
class RouteRule:
    """That the jobs of a definition, a tag or a queue are shared among engines by weights.

    Attributes:
        kind: What it covers: `job` (a definition), `tag`, `queue`, or `default`: every job that no
            other rule covers.
        name: The name of that; empty for `default`.
        weights: A whole number for each engine. The first one named is where a share goes back to.
        actor: Who set it.
        reason: Why, for people.
        guard: What takes an engine's share away by itself; never that of the first engine.
        trips: The shares that the guard took away, and that are still away.
        since: Since when, on the database's clock; None before it is recorded.
        until: Until when it holds; None holds until it is cleared.
        revision: Grows with every change: the optimistic lock of a trip.
    """

    kind: RouteKind
    name: str
    weights: Mapping[str, int]
    actor: str
    reason: str = ""
    guard: Guard | None = None
    trips: tuple[Trip, ...] = field(default=(), compare=False)
    since: datetime | None = None
    until: datetime | None = None
    revision: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        """Refuse what is no rule."""
        expect = Expect(OptionInvalidError, "route: ")
        expect.one_of("a kind", self.kind, KINDS)
        least = 0 if self.kind == "default" else 1
        most = MAX_NAME_CHARS if least else 0
        expect.text("a name", self.name, least=least, most=most)
        _check_weights(expect, self.weights)
        check_said(expect, self.actor, self.reason)
        if self.guard is not None:
            expect.value(
                any(list(self.weights.values())[1:]),
                "a guard on a share besides that of the first engine, where shares go back to",
                weights_text(self.weights),
                "name the engine first that you trust",
            )

    @property
    def match(self) -> tuple[RouteKind, str]:
        """What it covers, as its kind and name."""
        return self.kind, self.name

    @property
    def guarded(self) -> tuple[str, ...]:
        """The engines whose shares a guard may take away, and has not: all but the first."""
        tripped = {trip.engine for trip in self.trips}
        others = list(self.weights.items())[1:]
        return tuple(name for name, weight in others if weight and name not in tripped)

    def shares(self) -> Mapping[str, int]:
        """Return the weights that hold now: zero for a share that the guard took away."""
        tripped = {trip.engine for trip in self.trips}
        found = {name: 0 if name in tripped else w for name, w in self.weights.items()}
        # A rule always leads somewhere: what is left without a share goes to the first engine.
        return found if any(found.values()) else found | {next(iter(found)): 1}

    def choice(self, job_id: str) -> str:
        """Return the engine that a job gets its offer from first."""
        return choice(job_id, self.shares())

    def command(self) -> str:
        """Return the command that sets it again, without its reason and its end."""
        words = ["failsoft", "routes", "set"]
        words += ["default"] if self.kind == "default" else [f"--{self.kind}", self.name]
        words += ["--to", weights_text(self.weights)]
        words += [] if self.guard is None else ["--guard", str(self.guard)]
        return shlex.join(words)

    def covered(self) -> str:
        """Return what it covers, for people: `queue mail`, or `default`."""
        return f"{self.kind} {self.name}".rstrip()

    def __str__(self) -> str:
        """Return it as text for people."""
        why = f": {self.reason}" if self.reason else ""
        return f"route of {self.covered()} to {weights_text(self.weights)}, by {self.actor}{why}"


Rules = Mapping[tuple[RouteKind, str], RouteRule]


def by_match(rules: Iterable[RouteRule]) -> Rules:
    """Return rules by what they cover."""
    return {rule.match: rule for rule in rules}


def rule_of(job: Routable, rules: Rules) -> RouteRule | None:
    """Return the strongest rule that covers a job; None where it names its own engines.

    That of its definition, of the first of its tags that has one, of its queue, or the default.
    """
    if job.engines or not rules:
        return None
    matches: tuple[tuple[RouteKind, str], ...] = (
        ("job", job.name),
        *(("tag", tag) for tag in job.tags),
        ("queue", job.queue),
        ("default", ""),
    )
    return next((rules[match] for match in matches if match in rules), None)


def choice(job_id: str, weights: Mapping[str, int]) -> str:
    """Choose an engine by a job's id, each as often as its weight says.

    The engine with the earliest draw is chosen. Another weight of one engine changes the draw of
    that engine alone: a raised share only adds jobs, and a lowered one only gives jobs away.

    Args:
        job_id: The id.
        weights: One above zero at least.
    """
    return min((name for name in weights if weights[name]), key=lambda n: _draw(job_id, n, weights))


def weights_text(weights: Mapping[str, int]) -> str:
    """Return weights as the command line takes them: `rq=80,kafka=20`."""
    return ",".join(f"{name}={weight}" for name, weight in weights.items())


def _draw(job_id: str, engine: str, weights: Mapping[str, int]) -> float:
    """Return when the clock of an engine rings for a job, if it rings `weight` times a unit."""
    # A job id has no NUL: no two pairs of id and engine are hashed as one text.
    found = hashlib.sha256(f"{job_id}\0{engine}".encode()).digest()
    uniform = ((int.from_bytes(found[:8]) >> (64 - _BITS)) + 0.5) / (1 << _BITS)
    return -math.log(uniform) / weights[engine]


def _check_weights(expect: Expect, weights: object) -> None:
    todo = "write a number of 0 to 10,000 for each, as in {'one': 80, 'other': 20}"
    expect.value(isinstance(weights, Mapping) and weights, "weights by engine", weights, todo)
    if isinstance(weights, Mapping):
        expect.value(len(weights) <= MAX_ENGINES, f"at most {MAX_ENGINES} engines", len(weights))
        for name, weight in weights.items():
            expect.text("the name of an engine", name, most=MAX_ENGINE_CHARS)
            expect.whole(f"a weight of {name}", weight, least=0, most=MAX_WEIGHT)
        expect.value(any(weights.values()), "a weight above zero", dict(weights))
