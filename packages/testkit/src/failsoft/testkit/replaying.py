"""Running the code of today over the steps that a job recorded with the code of yesterday."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from failsoft.job_engine.attempt.event_loop import run_coroutine
from failsoft.job_engine.attempt.interrupts import HoldRequested, Interrupt, Suspended
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.definitions.definition import AnyDefinition
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import Claim, StepKind, StepRecord
from failsoft.job_engine.records.waits import Wait
from failsoft.job_engine.steps.async_context import AsyncJobContext
from failsoft.job_engine.steps.context import JobContext
from failsoft.testing import MemoryLedger
from failsoft.testkit.catalogue import imported
from failsoft.testkit.memory.clock import KitClock
from failsoft.testkit.results import Replayed

#: No attempt of a replay ends by its lease.
LEASE = timedelta(days=36_500)


class _Beyond(Interrupt):
    """The code came to a step that is not recorded: from here on it would do something."""


class _RecordedSteps(MemoryLedger):
    """The recorded steps of a job, and nothing that can be written."""

    def __init__(self, clock: KitClock, steps: Sequence[StepRecord]) -> None:
        super().__init__(clock)
        self._known = steps
        self.met: list[str] = []

    def begin(self, claim: Claim, name: str, seq: int) -> Sequence[StepRecord]:
        """Return the records of that name or that place."""
        found = [step for step in self._known if step.name == name or step.seq == seq]
        if not found:
            raise _Beyond
        self.met.append(name)
        return found

    def record(self, claim: Claim, step: StepRecord) -> None:
        """Stop: this step is not finished, as an intent or a wait is not."""
        raise _Beyond

    def receive(self, claim: Claim, step: StepRecord, wait: Wait) -> StepRecord | None:
        """Stop: what it waits for had not come."""
        raise _Beyond


def save_story(ledger: Ledger, job_id: str, path: Path | str) -> None:
    """Write what `replay` needs of a job to a file, as `failsoft jobs show --json` does.

    Nothing is masked, unlike there: the payload and the results stand as they are.
    """
    job = ledger.get(job_id)
    steps = [
        {"name": s.name, "seq": s.seq, "kind": str(s.kind), "result": json.loads(s.result)}
        for s in ledger.steps(job_id)
    ]
    document = {
        "job": {
            "id": job.id,
            "name": job.name,
            "version": job.version,
            "payload": json.loads(job.payload),
        },
        "steps": steps,
    }
    Path(path).write_text(json.dumps(document, indent=1) + "\n")


def replay(path: Path | str, job: AnyDefinition | None = None) -> Replayed:
    """Run the code of a job over recorded steps, up to the first that is not recorded.

    No step's body is called. A change of the code that would hold the job is found before it is
    deployed: a step renamed, left out, added before a recorded one, or in another place.

    Args:
        path: A file of `save_story`, or the output of `failsoft jobs show ID --json`.
        job: The job's definition; found among the imported modules where it is None.

    Raises:
        AssertionError: The file is none, or no such job is imported.
        Exception: What the job's code raised between its steps.
    """
    document = _read(Path(path))
    about = document["job"]
    definition = job or next(imported(str(about["name"])), None)
    if definition is None:
        raise AssertionError(
            f"expected job {about['name']!r} in an imported module, got none; import it, or give "
            "its definition: replay(path, job)"
        )
    return _Replay(definition, about, document["steps"]).run()


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text())
        missing = [name for name in ("job", "steps") if name not in document]
    except (OSError, ValueError, TypeError) as error:
        raise AssertionError(f"expected a job's story in {path}, got {error}") from error
    if missing:
        raise AssertionError(
            f"expected a job's story in {path}, got no {' and no '.join(missing)}; write it with "
            "save_story(...) or `failsoft jobs show ID --json`"
        )
    found: dict[str, Any] = document
    return found


class _Replay:
    def __init__(
        self, definition: AnyDefinition, about: dict[str, Any], steps: list[dict[str, Any]]
    ) -> None:
        self._definition = definition
        self._payload = definition.decode(json.dumps(about["payload"]), int(about["version"]))
        self._steps = [
            StepRecord(s["name"], s["seq"], StepKind(s["kind"]), json.dumps(s["result"]))
            for s in steps
        ]
        self._clock = KitClock(datetime.now(UTC))
        self._ledger = _RecordedSteps(self._clock, self._steps)
        self._claim = Claim(
            *(str(about["id"]), 1, "replay", "replay", "replay", definition.name),
            *(definition.queue.name, json.dumps(about["payload"]), 1, 0, 0, 0),
            lease=LEASE,
        )

    def run(self) -> Replayed:
        """Run the code, and say how far it came."""
        try:
            self._call()
        except HoldRequested as held:
            return Replayed(tuple(self._ledger.met[:-1]), goes_on=False, mismatch=str(held.cause))
        except (_Beyond, Suspended):
            return self._found(ended=False)
        return self._found(ended=True)

    def _call(self) -> None:
        parts = (self._claim, self._ledger, Lease(), self._clock)
        if self._definition.is_async:
            ctx = AsyncJobContext(*parts)
            run_coroutine(self._definition.start(self._payload, ctx), parts[2])
        else:
            self._definition.call(self._payload, JobContext(*parts))

    def _found(self, *, ended: bool) -> Replayed:
        met = self._ledger.met
        left = [step.name for step in self._steps if step.name not in met]
        if left:
            where = "ended" if ended else "came to a step that is not recorded"
            return Replayed(
                tuple(met),
                goes_on=False,
                mismatch=(
                    f"the job's code {where} without {', '.join(map(repr, left))}, which the "
                    "ledger recorded: the code changed under the job"
                ),
            )
        return Replayed(tuple(met), goes_on=True, mismatch=None)
