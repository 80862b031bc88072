"""The one job that every actor is dispatched as, and the one after it has failed."""

from typing import Any

from pydantic import BaseModel, JsonValue

from failsoft.adoption.definition import ONCE, CallDefinition, Policies
from failsoft.job_engine.definitions.decorators import declare_job
from failsoft.job_engine.definitions.definition import JobDefinition
from failsoft.job_engine.policies.queue import queue_profile
from failsoft.job_engine.records.failure import JobFailure


class ActorCall(BaseModel):  # type: ignore[no-redef]  # pydantic's plug-in has a `kwargs`, too
    """An actor and what it is called with.

    Attributes:
        actor: The name of the actor.
        args: Its arguments.
        kwargs: Its keyword arguments.
        options: Those of the message, which beat the actor's own.
        takes_result: Whether `result_before` is its last argument.
        result_before: What the actor before it in a pipeline returned.
    """

    actor: str
    args: list[JsonValue]
    kwargs: dict[str, JsonValue]
    options: dict[str, JsonValue] = {}
    takes_result: bool = False
    result_before: JsonValue = None


#: The job without its code, as it is dispatched. Only a worker has the actors, and their policies.
dramatiq_actor: CallDefinition[ActorCall] = CallDefinition(
    "dramatiq_actor",
    ActorCall,
    Any,
    queue_profile("default"),
    retry=ONCE,
    policies=lambda call: Policies(ONCE, None),
)

#: The job that sends a message to the `on_failure` actor of one that has failed.
dramatiq_failure_callback: JobDefinition[JobFailure, None] = declare_job(
    "dramatiq_failure_callback", payload=JobFailure
)
