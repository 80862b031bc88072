"""What a person decides about a job that is held."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from failsoft.job_engine.errors import OptionInvalidError, ResultInvalidError, StepError
from failsoft.job_engine.records.job import HistoryEntry, JobRecord
from failsoft.job_engine.records.states import ABANDON, ACCEPT, HOLD, RESUME, Transition
from failsoft.job_engine.validation import Expect, check_said
from failsoft.job_engine.values.codec import encode_freely

_DECISIONS = frozenset({RESUME.name, ACCEPT.name, ABANDON.name, HOLD.name})


@dataclass(frozen=True, slots=True)
class Resolution:
    """A decision about a held job; only a person makes it (rule 10).

    Attributes:
        transition: `resume`, `accept` or `abandon`.
        actor: Who decided; kept in the event.
        reason: Why; kept in the event.
        result: The job's result as JSON; for `accept`.
        done: For `resume`: the steps in doubt that have taken effect, with their results as JSON.
            They never begin again; every other step in doubt may.
    """

    transition: Transition
    actor: str
    reason: str = ""
    result: str | None = None
    done: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what no history could keep."""
        check_said(Expect(OptionInvalidError, "resolve: "), self.actor, self.reason)

    def detail(self, again: Sequence[str]) -> dict[str, Any]:
        """Return what its event keeps.

        Args:
            again: The steps in doubt that may begin again, because a person said so (I6).
        """
        said = {"reason": self.reason, "done": sorted(self.done), "again": sorted(again)}
        return {name: value for name, value in said.items() if value}

    def made(self, job: JobRecord, events: Sequence[HistoryEntry]) -> bool:
        """Return whether it was made before and stands: repeating it is harmless then (F22)."""
        decided = [event for event in events if event.kind in _DECISIONS]
        if not decided or decided[-1].kind != self.transition.name:
            return False
        detail = decided[-1].detail
        same = (detail.get("reason", ""), detail.get("done", [])) == (
            self.reason,
            sorted(self.done),
        )
        return same and (self.transition is not ACCEPT or job.result == self.result)


def done_json(done: Mapping[str, object]) -> dict[str, str]:
    """Return the results of steps as the ledger keeps them.

    Raises:
        ResultInvalidError: If JSON cannot carry one of them.
    """
    expect = Expect(OptionInvalidError, "resolve: ")
    expect.a(Mapping, "done as a mapping of steps to their results", done)
    texts = {}
    for name, value in done.items():
        try:
            texts[name] = encode_freely(value)
        except ResultInvalidError as error:
            raise ResultInvalidError(f"step {name!r}: {error}") from error
    return texts


def json_text(text: str) -> str:
    """Return JSON that a person typed, as the ledger keeps it.

    Raises:
        StepError: If it is no JSON.
        ResultInvalidError: If it is too large, or nests too deep.
    """
    try:
        value = json.loads(text)
    except ValueError:
        raise StepError(
            f"expected a result as JSON, like 3, null or '\"text\"', got {text!r}"
        ) from None
    return encode_freely(value)
