"""What an `on_failure` job learns of the job that failed."""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict


class JobFailure(BaseModel):
    """The payload of an `on_failure` job.

    Attributes:
        job_id: The job that failed; its history and its traceback are in the ledger.
        name: The name of its definition.
        queue: The queue it ran on.
        payload: Its payload, as JSON carries it.
        error_type: The class name of the recorded error.
        error_message: What the error said.
        attempts: How many attempts there were.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, defer_build=True)

    job_id: str
    name: str
    queue: str
    payload: Any
    error_type: str
    error_message: str
    attempts: int
