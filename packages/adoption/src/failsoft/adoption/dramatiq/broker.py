"""A broker of Dramatiq whose messages are dispatched."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from dramatiq import Broker, Message, MessageProxy, Middleware
from dramatiq.middleware import (
    AgeLimit,
    AsyncIO,
    Callbacks,
    GroupCallbacks,
    Pipelines,
    Retries,
    Shutdown,
    ShutdownNotifications,
    TimeLimit,
)
from dramatiq.results import ResultBackend, Results

from failsoft.adoption.dramatiq.call import ActorCall, dramatiq_actor, dramatiq_failure_callback
from failsoft.adoption.dramatiq.groups import CALLBACKS, GROUP, OF_GROUPS, CollectedGroups
from failsoft.adoption.dramatiq.options import ACTOR_OPTIONS, ADDED, age_limit, option
from failsoft.adoption.dramatiq.results import LedgerResults
from failsoft.adoption.values import as_lists, expect_json
from failsoft.api import (
    DispatchOptions,
    JobDefinition,
    Link,
    OptionInvalidError,
    default_dispatcher,
)
from failsoft.job_engine.policies.queue import queue_profile

logger: logging.Logger = logging.getLogger("failsoft.adoption")

#: The middleware that Failsoft is itself: of these only the settings are read.
_MAPPED = (
    AgeLimit,
    AsyncIO,
    Callbacks,
    GroupCallbacks,
    Pipelines,
    Retries,
    Shutdown,
    ShutdownNotifications,
    TimeLimit,
)
#: The methods of other middleware that are called.
_CALLED = frozenset(
    {
        "actor_options",
        "before_declare_actor",
        "after_declare_actor",
        "before_declare_queue",
        "after_declare_queue",
        "before_enqueue",
        "after_enqueue",
        "before_process_message",
        "after_process_message",
        "after_skip_message",
    }
)
_LOWEST, _HIGHEST = -100, 100

_AnyLink = Link[ActorCall, Any]


class FailsoftBroker(Broker):
    """A broker whose messages are jobs of Failsoft, on whichever engine takes them.

    Retries, backoff, limits of time and age, callbacks, pipelines and groups become those of the
    jobs. Of other middleware the methods around declarations, messages and their processing are
    called; the rest is named in a warning.
    """

    def __init__(
        self,
        middleware: Iterable[Middleware] | None = None,
        *,
        queues: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Take the place of a broker; nothing is opened.

        Args:
            middleware: As Dramatiq has it; its default middleware where None.
            queues: The declared queues for Dramatiq's, where those have other names.

        Raises:
            OptionInvalidError: The middleware has `Results`.
        """
        self._names = dict(queues)
        self._groups = CollectedGroups()
        super().__init__(None if middleware is None else list(middleware))
        self.middleware: list[Middleware] = [
            *(each for each in self.middleware if not isinstance(each, GroupCallbacks)),
            self._groups,
        ]
        self._refresh_options()

    def add_middleware(self, middleware: Middleware, **place: Any) -> None:
        """Add middleware, as Dramatiq does.

        Raises:
            OptionInvalidError: It is `Results`.
        """
        if isinstance(middleware, Results):
            raise OptionInvalidError(
                "expected no Results in a FailsoftBroker, got one; leave it out: "
                "message.get_result reads the ledger"
            )
        super().add_middleware(middleware, **place)
        self._refresh_options()
        if left_out := [] if isinstance(middleware, _MAPPED) else _not_called(middleware):
            name = type(middleware).__name__
            logger.warning("middleware %s: not called are %s", name, ", ".join(left_out))

    def _refresh_options(self) -> None:
        added = [each.actor_options for each in self.middleware if not isinstance(each, _MAPPED)]
        self.actor_options: set[str] = {
            *ACTOR_OPTIONS,
            *(name for names in added for name in names),
        }

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue, which Failsoft must have.

        Raises:
            UnknownQueueError: It has none of that name.
        """
        if queue_name not in self.queues:
            profile = queue_profile(self._names.get(queue_name, queue_name))
            self.emit_before("declare_queue", queue_name)
            self.queues[queue_name] = profile
            self.emit_after("declare_queue", queue_name)

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """Dispatch a message; one of a group with a callback, with the last one of the group.

        Args:
            message: Its id becomes the job's.
            delay: How long it waits first, in milliseconds.

        Raises:
            DispatchError: An argument or an option cannot be carried over; nothing was stored.
            LedgerUnavailableError: The ledger did not answer; the job may not have been stored.
        """
        self.emit_before("enqueue", message, delay)
        if message.options.get(GROUP):
            self._collect(message, delay)
        elif message.options.get("pipe_target"):
            self._dispatch_pipeline(message, delay)
        else:
            self._dispatch(message, delay)
        self.emit_after("enqueue", message, delay)
        return message

    def get_results_backend(self) -> ResultBackend:
        """Return the results of messages, which the ledger has."""
        return LedgerResults()

    @contextmanager
    def processing(self, message: MessageProxy) -> Iterator["Processing"]:
        """Call the middleware around the processing of a message that is not Failsoft's own.

        Raises:
            SkipMessage: One says that it is to be skipped.
        """
        around = [each for each in self.middleware if not isinstance(each, _MAPPED)]
        processing = Processing()
        for each in around:
            each.before_process_message(self, message)
        try:
            yield processing
        except BaseException as error:
            for each in reversed(around):
                each.after_process_message(self, message, exception=error)
            raise
        for each in reversed(around):
            each.after_process_message(self, message, result=processing.result)

    def skipped(self, message: MessageProxy) -> None:
        """Call the middleware after a message was skipped."""
        for each in reversed(self.middleware):
            each.after_skip_message(self, message)

    def call_of(self, message: Message[Any]) -> ActorCall:
        """Return the payload of a message.

        Raises:
            PayloadInvalidError: JSON cannot carry an argument or an option.
        """
        actor = self.get_actor(message.actor_name)
        args, kwargs = as_lists(list(message.args)), as_lists(message.kwargs)
        expect_json(actor.fn, args, kwargs)
        left_out = ADDED | OF_GROUPS
        options = {name: each for name, each in message.options.items() if name not in left_out}
        expect_json(f"the message to {message.actor_name}", (), options)
        unknown = options.keys() - self.actor_options
        if unknown:
            raise OptionInvalidError(
                f"expected options of a message that are carried over "
                f"({', '.join(sorted(self.actor_options))}), got {', '.join(sorted(unknown))}; "
                "leave it out"
            )
        return ActorCall(actor=message.actor_name, args=args, kwargs=kwargs, options=options)

    def definition_of(self, message: Message[Any]) -> JobDefinition[ActorCall, Any]:
        """Return the job that a message is dispatched as: with one after it, for a callback."""
        has_callback = option("on_failure", message.options, self.get_actor(message.actor_name))
        return replace(
            dramatiq_actor, on_failure=dramatiq_failure_callback if has_callback else None
        )

    def queue_of(self, message: Message[Any]) -> str:
        """Return the name of the declared queue of a message."""
        return self._names.get(message.queue_name, message.queue_name)

    def _priority(self, message: Message[Any]) -> int:
        # A lower number comes first in Dramatiq.
        return max(_LOWEST, min(_HIGHEST, -self.get_actor(message.actor_name).priority))

    def _dispatch(self, message: Message[Any], delay: int | None) -> None:
        actor = self.get_actor(message.actor_name)
        options = DispatchOptions(
            job_id=message.message_id,
            queue=self.queue_of(message),
            priority=self._priority(message),
        )
        if delay:
            options["delay"] = timedelta(milliseconds=delay)
        age = age_limit(message.options, actor, self.middleware)
        if age is not None:
            options["expires_in"] = age
        call = self.call_of(message)
        default_dispatcher().dispatch(self.definition_of(message), call, **options)

    def links_of(self, message: Message[Any], queue: str | None = None) -> list[_AnyLink]:
        """Return the jobs that a message becomes: one, or those of its pipeline.

        Args:
            message: The message.
            queue: The declared queue of all of them; each message's own where None.

        Raises:
            DispatchError: An argument or an option cannot be carried over.
        """
        messages = _messages_of(message)
        _expect_at_once("a pipeline", [each.options.get("delay") for each in messages[1:]])
        if any(each.options.get(GROUP) for each in messages):
            raise OptionInvalidError(
                "expected messages in a group with a completion callback, got a pipeline; use "
                "dispatch_chain, or a group without a callback"
            )
        links = [self._link(messages[0], alone=len(messages) == 1)]
        for before, each in pairwise(messages):
            own, its = each.options, self.get_actor(before.actor_name).options
            takes = not (own.get("pipe_ignore") or its.get("pipe_ignore"))
            links.append(self._link(each, takes_result=takes))
        return [each if queue is None else replace(each, queue=queue) for each in links]

    def _dispatch_pipeline(self, message: Message[Any], delay: int | None) -> None:
        _expect_at_once("a pipeline", [delay])
        ids = [each.message_id for each in _messages_of(message)]
        pairs = zip(self.links_of(message), ids, strict=True)
        links = [replace(link, job_id=each) for link, each in pairs]
        default_dispatcher().dispatch_chain(*links[:-1], links[-1])

    def _link(
        self, message: Message[Any], *, takes_result: bool = False, alone: bool = False
    ) -> _AnyLink:
        if not alone and age_limit(
            message.options, self.get_actor(message.actor_name), self.middleware
        ):
            raise OptionInvalidError(
                "expected no max_age in a pipeline or a group with a callback, got one; leave it "
                "out, or send the message alone"
            )
        call = self.call_of(message).model_copy(update={"takes_result": takes_result})
        field = "result_before" if takes_result else None
        return Link(
            self.definition_of(message),
            call,
            result_field=field,
            queue=self.queue_of(message),
            priority=self._priority(message),
        )

    def _collect(self, message: Message[Any], delay: int | None) -> None:
        try:
            _expect_at_once("a group with a callback", [delay])
            self._link(message)
            messages = self._groups.collect(message)
        except BaseException:
            self._groups.forget(message)
            raise
        if messages is None:
            return
        (callback,) = message.options[CALLBACKS]
        completion: Message[Any] = Message(**callback)
        default_dispatcher().dispatch_group(
            [self._link(each) for each in messages],
            replace(self._link(completion), job_id=completion.message_id),
            when="all_succeeded",
            group_id=message.options[GROUP],
        )


class Processing:
    """The processing of one message.

    Attributes:
        result: What the actor returned.
    """

    def __init__(self) -> None:
        self.result: Any = None


def _messages_of(first: Message[Any]) -> Sequence[Message[Any]]:
    messages = [first]
    while target := messages[-1].options.get("pipe_target"):
        messages.append(Message(**{**target, "args": tuple(target["args"])}))
    return messages


def _expect_at_once(what: str, delays: Iterable[int | None]) -> None:
    if any(delays):
        raise OptionInvalidError(
            f"expected {what} without a delay, got one; send a message with the delay, whose actor "
            "runs it"
        )


def _not_called(middleware: Middleware) -> list[str]:
    names = [name for name in vars(Middleware) if not name.startswith("_")]
    own = [
        name for name in names if getattr(type(middleware), name) is not getattr(Middleware, name)
    ]
    return sorted(set(own) - _CALLED)
