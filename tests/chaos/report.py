"""What came out of a run, for programs and for people."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from failsoft.job_engine.invariants import Violation
from tests.chaos.history.evidence import Case, Evidence
from tests.chaos.history.timeline import TICK
from tests.chaos.plan import Plan
from tests.chaos.promises import charges

#: How many violations are shown in full.
TOLD = 50
COUNTED = ("message.refused", "message.rejected", "job.fenced", "engine.failed_over")


@dataclass
class Report:
    """The figures of a run and its verdict.

    Attributes:
        counts: What was seen, by name.
        features: How many jobs met each feature and ended well.
        nemeses: How often each kind struck and hit.
        violations: The promises that were broken.
        shortcomings: What the run did not see, or what of the harness failed.
        last: The job that ended last, and its history from the heal on.
    """

    plan: Plan
    folder: Path
    counts: dict[str, int] = field(default_factory=dict)
    features: Mapping[str, int] = field(default_factory=dict)
    nemeses: Mapping[str, int] = field(default_factory=dict)
    boots: Mapping[str, int] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    violations: Sequence[Violation] = ()
    shortcomings: Sequence[str] = ()
    last: Mapping[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return not self.violations and not self.shortcomings

    @property
    def replay(self) -> str:
        """The command that does the same again; the timing is that of the machine."""
        plan = self.plan
        minutes = f"{plan.faults / 60:g}"
        engines = ",".join(plan.engines)
        words = f"MINUTES={minutes} SEED={plan.seed} LEDGER={plan.ledger} ENGINES={engines}"
        return f"make chaos {words}"

    def as_json(self) -> dict[str, Any]:
        return {
            "seed": self.plan.seed,
            "ledger": self.plan.ledger,
            "engines": list(self.plan.engines),
            "minutes": round(self.plan.faults / 60, 3),
            "passed": self.passed,
            "seconds": {name: round(value, 1) for name, value in self.seconds.items()},
            "counts": self.counts,
            "features": self.features,
            "nemeses": dict(sorted(self.nemeses.items())),
            "boots": self.boots,
            "last": self.last,
            "violations": len(self.violations),
            "violated": [_counts(each) for each in self.violations[:TOLD]],
            "shortcomings": list(self.shortcomings),
            "replay": self.replay,
        }

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.as_json(), indent=2) + "\n")


def count(evidence: Evidence, logs: Iterable[Path]) -> dict[str, int]:
    """Count what there was to see."""
    cases = evidence.cases.values()
    states = Counter(str(case.history.job.state) for case in cases)
    outcomes = Counter(f"requests {each.outcome}" for each in evidence.operations)
    counts = Counter(kind for log in logs for kind in _kinds(log))
    return {
        "jobs": len(cases),
        **states,
        **outcomes,
        "attempts": sum(case.history.job.claims for case in cases),
        "steps begun": sum(len(case.begun) for case in cases),
        "steps repeated": sum(_repeated(case) for case in cases),
        "steps begun late": sum(_late(case) for case in cases),
        "once steps begun": sum(_once(case) for case in cases),
        "crashes": sum(case.history.job.crashes for case in cases),
        "crashes unexplained": sum(charges.unexplained(evidence, case) for case in cases),
        "stalls of the machine": sum(each.kind == charges.STALL for each in evidence.strikes),
        "hand-offs": sum(case.history.job.handoffs for case in cases),
        "stale messages refused": counts["message.refused"],
        "messages rejected": counts["message.rejected"],
        "attempts fenced": counts["job.fenced"],
        "failovers": counts["engine.failed_over"],
        "events": sum(len(case.history.events) for case in cases),
    }


def last_to_end(evidence: Evidence, healed: int) -> Mapping[str, Any]:
    """Return what the job that ended last was waiting for."""
    cases = evidence.cases.values()
    ended = [case for case in cases if case.history.job.finished_at is not None]
    last = max(ended, key=lambda case: case.at(case.history.job.finished_at), default=None)
    if last is None:
        return {}
    seconds = {(each.opens - healed) / 1e6: each.event for each in last.moments}
    events = [f"{at:+.1f} s {e.kind} {e.detail} by {e.actor}" for at, e in seconds.items()]
    return {"job": last.job_id, "script": last.script.model_dump(), "events since the heal": events}


def _repeated(case: Case) -> int:
    return len(case.begun) - len({line.step for line in case.begun})


def _once(case: Case) -> int:
    return sum(1 for line in case.begun if line.step == case.script.in_doubt)


def _late(case: Case) -> int:
    numbers = ((line, case.attempt(line.attempt)) for line in case.begun)
    return sum(1 for line, its in numbers if its and line.at > case.at(its.ended_at) + TICK)


def _kinds(log: Path) -> Iterable[str]:
    for text in log.read_text(errors="replace").splitlines():
        for kind in COUNTED:
            if f'"event": "{kind}"' in text:
                # A line may stand for several that were not logged.
                stands = re.search(r'"suppressed": (\d+)', text)
                yield from [kind] * (int(stands[1]) if stands else 1)


def _counts(violation: Violation) -> dict[str, Any]:
    events = [
        f"{each.n} {each.at} {each.kind} {each.state} {each.epoch} {each.actor} {each.detail}"
        for each in violation.events
    ]
    return {
        "job": violation.job_id,
        "invariant": violation.invariant,
        "rule": violation.rule,
        "found": violation.found,
        "events": events,
    }
