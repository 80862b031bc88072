"""Groups of jobs: what the ledger counts of them, and what their completion job gets."""

import json
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

When = Literal["all_ended", "all_succeeded"]

#: The field that stands for the whole payload.
WHOLE = ""


class GroupResult(BaseModel):
    """How the jobs of a group ended; the payload of a completion job, or a field of it."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, defer_build=True)

    group_id: str
    total: int
    succeeded: int
    failed: int
    cancelled: int

    @property
    def job_ids(self) -> tuple[str, ...]:
        """Return the ids of the group's jobs, in the order they were given."""
        return tuple(member_id(self.group_id, place) for place in range(self.total))


@dataclass(frozen=True, slots=True)
class GroupRecord:
    """A group, as the ledger keeps it.

    Attributes:
        sha: SHA-256 of its jobs; shows whether a repeated id means the same group.
        when: Which ends let the completion job start.
        completion_id: The completion job.
        completion_field: The field of its payload that takes the `GroupResult`.
        sealed: Whether all of its jobs are recorded.
    """

    id: str
    sha: str
    when: When
    completion_id: str | None = None
    completion_field: str | None = None
    total: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    sealed: bool = False

    @property
    def ended(self) -> int:
        """Return how many of its jobs have ended."""
        return self.succeeded + self.failed + self.cancelled

    @property
    def is_over(self) -> bool:
        """Return whether all of its jobs are recorded and have ended."""
        return self.sealed and self.ended == self.total

    @property
    def may_complete(self) -> bool:
        """Return whether its completion job may start, once it is over."""
        return self.when == "all_ended" or self.succeeded == self.total

    @property
    def result(self) -> GroupResult:
        """Return how its jobs ended."""
        return GroupResult(
            group_id=self.id,
            total=self.total,
            succeeded=self.succeeded,
            failed=self.failed,
            cancelled=self.cancelled,
        )

    @property
    def shortfall(self) -> str:
        """Say why its completion job does not start."""
        return f"{self.total - self.succeeded} of {self.total} jobs of the group did not succeed"


def member_id(group_id: str, place: int) -> str:
    """Return the id of a job of a group."""
    return f"{group_id}-{place}"


def is_member(job_id: str, group_id: str) -> bool:
    """Return whether a job is one of the group's own, and not one that does its work again."""
    own, _, place = job_id.rpartition("-")
    return own == group_id and place.isdigit()


def with_field(payload: str, field: str, value: str | None) -> str:
    """Return a payload whose field is set; all are JSON."""
    if field == WHOLE:
        return value or "null"
    fields: dict[str, Any] = json.loads(payload)
    return json.dumps({**fields, field: json.loads(value or "null")})
