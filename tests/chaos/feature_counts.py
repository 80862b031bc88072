"""How many jobs met each feature and ended well: what a run has not met it has not shown."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from failsoft.job_engine.records.job import StepKind
from failsoft.job_engine.records.routing.guard import GETS_NO_OFFERS
from failsoft.job_engine.records.states import JobState
from tests.chaos.history.evidence import Case, Evidence
from tests.chaos.promises.limits import waited_for_its_turn
from tests.chaos.promises.times import has_expired
from tests.chaos.workload.definitions import (
    by_the_minute,
    every_tick,
    hook,
    in_loop,
    in_measure,
    no_overlap,
    one_each,
    two_at_once,
)
from tests.chaos.workload.handlers import CANCELLED, FAILED, INVOKED, NOTHING, SLEEP, WAITS
from tests.chaos.workload.operations import OK, UNIQUE
from tests.chaos.workload.requests import Many, Within
from tests.deployments.effect_log import Line

Met = Callable[[Case], bool]
#: The name of an operation of a process that `system/preforking_dispatcher.py` forked.
FORKED = re.compile(r"-\d+f\d+-\d+_")

#: What the cases of jobs that succeeded are counted for.
IN_SUCCESSES: Mapping[str, Met] = {
    "attempts tried again": lambda case: case.history.job.errors > 0,
    "sleeps": lambda case: case.step(SLEEP, StepKind.SLEEP) is not None,
    "`once` steps": lambda case: bool(case.script.once_at),
    "`tx` steps": lambda case: bool(case.script.tx_at),
    "steps side by side": lambda case: bool(case.script.beside[0]),
    "async handlers": lambda case: case.name == in_loop.name,
    "events received": lambda case: any(line.met != NOTHING for line in _waits(case)),
    "events waited for in vain": lambda case: any(line.met == NOTHING for line in _waits(case)),
    "jobs invoked": lambda case: _child(case).isdecimal(),
    "jobs invoked in vain": lambda case: _child(case) in (FAILED, CANCELLED),
    "links of chains": lambda case: bool(case.script.flow) and case.script.before is not None,
    "groups completed": lambda case: case.script.group is not None,
    "failures told": lambda case: case.name == hook.name,
    "ticks, none left out": lambda case: case.name == every_tick.name,
    "ticks without overlap": lambda case: case.name == no_overlap.name,
    "ticks of a cron expression": lambda case: case.name == by_the_minute.name,
    "unique jobs": lambda case: case.name == one_each.name,
    "limited at once": lambda case: case.name == two_at_once.name,
    "limited in a period": lambda case: case.name == in_measure.name,
    "waited for their turn": waited_for_its_turn,
    "delayed": lambda case: bool(case.script.delay),
    "begun before they expired": lambda case: bool(case.script.expires_in),
    "priorities": lambda case: bool(case.script.priority),
    "led by a route": lambda case: _says(case, "route of "),
    "moved from an engine without offers": lambda case: _says(case, GETS_NO_OFFERS),
}
#: What the other cases are counted for.
IN_OTHER_ENDS: Mapping[str, Met] = {
    "expired": has_expired,
    "cancelled": lambda case: case.state is JobState.CANCELLED,
    "cancelled with what they waited for": lambda case: (
        bool(case.script.flow) and case.state is JobState.CANCELLED
    ),
}


def _says(case: Case, reason: str) -> bool:
    events = case.history.events
    return any(reason in str(event.detail.get("reason", "")) for event in events)


def met(evidence: Evidence) -> dict[str, int]:
    """Count what was met of each feature."""
    cases = evidence.cases.values()
    good = [case for case in cases if case.state is JobState.SUCCEEDED]
    found = {name: sum(map(met, good)) for name, met in IN_SUCCESSES.items()}
    found |= {name: sum(map(met, cases)) for name, met in IN_OTHER_ENDS.items()}
    return found | _of_requests(evidence)


def attempts_on(evidence: Evidence, engines: Iterable[str]) -> dict[str, int]:
    """Count the attempts that each of these engines ran."""
    attempts = [each for case in evidence.cases.values() for each in case.history.attempts]
    found = Counter(each.engine for each in attempts)
    return {f"attempts on {engine}": found[engine] for engine in engines}


def never_met(counts: Mapping[str, int]) -> list[str]:
    """Report the features that nothing met."""
    return [f"never met: {name}" for name, count in counts.items() if not count]


def _of_requests(evidence: Evidence) -> dict[str, int]:
    accepted = [each for each in evidence.operations if each.outcome == OK]
    ways = Counter(each.answer.get("way") for each in accepted)
    unique = [each for each in accepted if each.kind == UNIQUE]
    return {
        "unique jobs found": sum(each.answer["created"] is False for each in unique),
        "dispatched at once with others": ways[Many.__name__],
        "dispatched by a forked process": sum(bool(FORKED.search(each.op)) for each in accepted),
        "dispatched in a transaction of the app's own": ways[Within.__name__],
    }


def _waits(case: Case) -> list[Line]:
    return [line for step in WAITS for line in case.met_of(step)[:1]]


def _child(case: Case) -> str:
    return next((line.met for line in case.met_of(INVOKED.name)), "")
