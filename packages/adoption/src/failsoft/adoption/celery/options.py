"""What the options of `apply_async` become, and a refusal by name of those that become nothing."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from celery.utils.time import maybe_iso8601

from failsoft.adoption.celery.call import Follower
from failsoft.adoption.values import as_lists, expect_json
from failsoft.api import DispatchOptions, OptionInvalidError

#: What is not carried over, with what there is in its place.
_REFUSED: Mapping[str, str] = {
    "compression": "leave it out: a message has no arguments",
    "headers": "pass them as arguments",
    "shadow": "leave it out: the console shows the task's name",
    "stamped_headers": "pass them as arguments, or as tags of a job",
}
#: The declared queue for the one that Celery uses unless another is named.
_QUEUES: Mapping[str, str] = {"celery": "default"}
#: The setting of an app with the declared queues for Celery's, where those have other names.
QUEUES = "failsoft_queues"

_LOWEST, _HIGHEST = -100, 100


def expect_carried_over(options: Mapping[str, Any]) -> None:
    """Refuse options that become nothing.

    Raises:
        OptionInvalidError: One does.
    """
    for name, todo in _REFUSED.items():
        if options.get(name):
            raise OptionInvalidError(f"expected no {name} with a FailsoftTask, got one; {todo}")
    serializer = options.get("serializer")
    if serializer not in {None, "json"}:
        raise OptionInvalidError(
            f"expected the serializer json, got {serializer!r}; leave it out: arguments are JSON"
        )


def dispatch_options(app: Any, options: Mapping[str, Any]) -> DispatchOptions:
    """Return the options of the dispatch of a task, but for its queue and id."""
    made = DispatchOptions()
    if options.get("countdown") is not None:
        made["delay"] = timedelta(seconds=options["countdown"])
    elif options.get("eta") is not None:
        made["run_at"] = moment(app, options["eta"])
    expires = options.get("expires")
    if isinstance(expires, int | float):
        made["expires_in"] = timedelta(seconds=expires)
    elif isinstance(expires, timedelta):
        made["expires_in"] = expires
    elif expires is not None:
        made["expires_at"] = moment(app, expires)
    if options.get("priority") is not None:
        made["priority"] = priority(options)
    return made


def priority(options: Mapping[str, Any]) -> int:
    """Return the priority of a task: its own number, within Failsoft's range."""
    return max(_LOWEST, min(_HIGHEST, options.get("priority") or 0))


def moment(app: Any, given: datetime | str) -> datetime:
    """Return a moment with a time zone: the app's, where it has none."""
    found = cast("datetime", maybe_iso8601(given))
    return found if found.tzinfo else found.replace(tzinfo=app.timezone)


def timeout(options: Mapping[str, Any]) -> float | None:
    """Return the longest an attempt may run, in seconds: the shorter of Celery's two limits."""
    limits = [options.get(name) for name in ("soft_time_limit", "time_limit")]
    return min((each for each in limits if each), default=None)


def queue_for(app: Any, name: str, given: Mapping[str, Any], call: tuple[Any, Any, Any]) -> str:
    """Return the declared queue of a task, by its options and the app's `task_routes`.

    Args:
        app: The Celery app.
        name: The task's name.
        given: The options of `apply_async`.
        call: Its arguments, its keyword arguments and the task.
    """
    args, kwargs, task = call
    routing = {key: given[key] for key in ("queue", "exchange", "routing_key") if given.get(key)}
    queue = app.amqp.router.route(routing, name, args, kwargs, task).get("queue")
    found: str = getattr(queue, "name", queue) or app.conf.task_default_queue
    declared: str = {**_QUEUES, **app.conf.get(QUEUES, {})}.get(found, found)
    return declared


def follower(app: Any, signature: Any, what: str) -> Follower:
    """Return a task that follows another one.

    Args:
        app: The Celery app.
        signature: Its signature, or the mapping of one.
        what: What it is in a refusal.

    Raises:
        OptionInvalidError: It is no plain task.
        PayloadInvalidError: JSON cannot carry an argument.
    """
    expect_plain(signature, what)
    name, options = signature["task"], signature["options"]
    refused = [key for key in ("countdown", "eta", "link", "link_error") if options.get(key)]
    if refused:
        raise OptionInvalidError(
            f"expected {what} without {', '.join(refused)}, got one with it; dispatch what follows "
            "in the task itself"
        )
    args, kwargs = as_lists(list(signature["args"])), as_lists(dict(signature["kwargs"]))
    expect_json(name, args, kwargs)
    queue = queue_for(app, name, options, (args, kwargs, app.tasks.get(name)))
    immutable = bool(signature["immutable"])
    return Follower(name=name, args=args, kwargs=kwargs, immutable=immutable, queue=queue)


def expect_plain(signature: Mapping[str, Any], what: str) -> None:
    """Refuse a canvas where there must be a task.

    Raises:
        OptionInvalidError: It is a chain, a group or a chord.
    """
    kind = signature.get("subtask_type")
    if kind:
        raise OptionInvalidError(
            f"expected a task as {what}, got a {kind}; build it with dispatch_chain or "
            "dispatch_group of jobs of your own"
        )


def as_list(given: Any) -> Sequence[Any]:
    """Return what Celery takes as one or several as several."""
    if given is None:
        return []
    return [given] if isinstance(given, dict) else list(given)
