"""What the steps of a script do: they write down that they began and ended, and take their time."""

import threading
from dataclasses import dataclass

from sqlalchemy import Connection

from failsoft.job_engine import NOT_DONE
from failsoft.job_engine.steps.once import NotDone
from tests.chaos.workload.business_table import add_effect
from tests.chaos.workload.script import Script, step_name
from tests.deployments.effect_log import ANSWERED, BEGUN, ENDED, has_ended, note


class ScriptedError(Exception):
    """What a script raises because its script says so."""


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of one attempt of a script; each takes its number and returns it."""

    script: Script
    job_id: str
    attempt: int

    def run(self, number: int) -> int:
        """Take the time it takes, and raise if the script says so."""
        note(BEGUN, self.job_id, step_name(number), self.attempt)
        threading.Event().wait(self.script.paces[number - 1])
        self._raise_by_script(number)
        note(ENDED, self.job_id, step_name(number), self.attempt)
        return number

    def verified(self, number: int) -> int | NotDone:
        """Find out from the effect log whether the step took effect."""
        return number if has_ended(self.job_id, step_name(number)) else NOT_DONE

    def write(self, connection: Connection, number: int) -> int:
        """Write a row; the effect log of such a step is the table."""
        add_effect(connection, self.job_id, step_name(number), self.attempt)
        self._raise_by_script(number)
        return number

    def met(self, step: str, what: str) -> None:
        """Write down what a wait came to."""
        note(ANSWERED, self.job_id, step, self.attempt, met=what)

    def _raise_by_script(self, number: int) -> None:
        if number == self.script.fails_at and self.attempt <= self.script.failures:
            raise ScriptedError(step_name(number))
