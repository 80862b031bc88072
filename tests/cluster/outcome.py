"""What became of the jobs of a load while a cluster failed over, and how long that took."""

import json
import os
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from failsoft.dispatcher import JobHandle
from failsoft.job_engine import JobState
from failsoft.job_engine.errors import JobNotFoundError
from tests.deployments.deployment import Deployment
from tests.deployments.promises import (
    assert_finished_steps_stayed_finished,
    assert_one_authority,
    assert_one_outcome,
)
from tests.faults.dispatch_load import Load, charged

#: The folder that the figures go to, as JSON.
VARIABLE = "_FAILSOFT_CLUSTER_SUMMARY"
MICROSECOND = 1e-6


@dataclass(frozen=True)
class Outcome:
    """The figures of one misfortune.

    Attributes:
        accepted: How many dispatches were accepted.
        refused: How many dispatches found the ledger away.
        lost: How many accepted jobs the ledger does not have.
        doubled: How many steps began more than once.
        charged: To how many jobs an error or a crash was charged.
        dispatches_paused: For how long no dispatch was accepted, in seconds.
        steps_paused: For how long no step began.
        dispatches_went_on: How long after there was a primary again one was accepted.
        steps_went_on: How long after that one began.
    """

    misfortune: str
    synchronous: bool
    accepted: int
    refused: int
    lost: int
    doubled: int
    charged: int
    dispatches_paused: float
    steps_paused: float
    dispatches_went_on: float
    steps_went_on: float

    def write(self) -> None:
        """Leave the figures for the page of evidence, if the environment says where."""
        if VARIABLE in os.environ:
            mode = "synchronous" if self.synchronous else "asynchronous"
            file = Path(os.environ[VARIABLE]) / f"{self.misfortune}-{mode}.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            figures = {
                name: round(value, 1) if isinstance(value, float) else value
                for name, value in asdict(self).items()
            }
            file.write_text(json.dumps(figures, indent=2) + "\n")


def forget_lost(deployment: Deployment, load: Load) -> list[tuple[float, JobHandle[int]]]:
    """Return the accepted jobs that the ledger does not have; the others are adopted."""
    lost = [each for each in load.accepted if not _is_there(deployment, each[1].id)]
    gone = {handle.id for _, handle in lost}
    deployment.handles[:] = [handle for handle in deployment.handles if handle.id not in gone]
    return lost


def assert_kept(deployment: Deployment, may_repeat: Collection[str] = ()) -> None:
    """Every job succeeded, once, under one authority; finished steps stayed finished.

    Args:
        deployment: Where all jobs have ended.
        may_repeat: The jobs of which the ledger has lost what it had recorded.
    """
    for handle in deployment.handles:
        assert handle.job().state is JobState.SUCCEEDED, handle.job()
        assert_one_outcome(deployment, handle)
        if handle.id not in may_repeat:
            assert_one_authority(deployment, handle)
            assert_finished_steps_stayed_finished(deployment, handle)


def at_work(deployment: Deployment, since: float, until: float) -> set[str]:
    """The jobs of which a step began or ended in a stretch of time."""
    lines = deployment.effect_log.lines()
    return {line.job_id for line in lines if since <= line.wall * MICROSECOND <= until}


def outcome(
    misfortune: str, load: Load, lost: int, served_again: float, *, synchronous: bool
) -> Outcome:
    """Put the figures together.

    Args:
        misfortune: What happened.
        load: What was dispatched meanwhile.
        lost: How many accepted jobs are lost.
        served_again: When there was a primary that takes writes, in seconds since the epoch.
        synchronous: Whether commits waited for a replica.
    """
    deployment = load.deployment
    accepted = [at for at, _ in load.accepted]
    begun = [line.wall * MICROSECOND for line in deployment.effect_log.begun()]
    times = Counter((line.job_id, line.step) for line in deployment.effect_log.begun())
    return Outcome(
        misfortune,
        synchronous,
        len(load.accepted),
        len(load.refused),
        lost,
        sum(count > 1 for count in times.values()),
        len(charged(deployment)),
        _longest_pause(accepted),
        _longest_pause(begun),
        _went_on(accepted, served_again),
        _went_on(begun, served_again),
    )


def _is_there(deployment: Deployment, job_id: str) -> bool:
    with suppress(JobNotFoundError):
        return bool(deployment.state(job_id))
    return False


def _longest_pause(moments: Sequence[float]) -> float:
    return max(after - before for before, after in pairwise(sorted(moments)))


def _went_on(moments: Sequence[float], since: float) -> float:
    return min(at for at in moments if at >= since) - since
