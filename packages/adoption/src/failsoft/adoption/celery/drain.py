"""What waits in a queue of plain Celery as jobs, from any broker that kombu has."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from celery.canvas import maybe_signature
from kombu.connection import Connection

from failsoft.adoption.celery.options import as_list, dispatch_options
from failsoft.adoption.draining import Drained, Pending, drain_from
from failsoft.api import DispatchError, EngineUnavailableError

_JSON = "application/json"


def drain(queue: str, url: str, *, to: str | None = None, dry_run: bool = False) -> Drained:
    """Dispatch what waits in a queue of plain Celery.

    What a worker of Celery's has received and holds back for its `eta` is not in the queue: stop
    the workers first.

    Args:
        queue: Its name.
        url: The URL of its broker.
        to: The declared queue that its jobs go to; as the app has it where None.
        dry_run: Whether only to say what would become of it.

    Raises:
        EngineUnavailableError: The broker did not answer; another drain goes on.
        LedgerUnavailableError: The ledger did not answer; another drain goes on.
    """
    # Imported here: it imports the modules of the program.
    from failsoft.adoption.celery import jobs  # noqa: PLC0415 - see above

    return drain_from(_CelerySource(url, queue, to, jobs.task_for_drain), dry_run=dry_run)


class _CelerySource:
    """Messages that this connection has and has not acknowledged are in the queue when it ends."""

    def __init__(self, url: str, name: str, to: str | None, task_for: Any) -> None:
        self._name = name
        self._to = to
        self._task_for = task_for
        self._looked_at: list[Any] = []
        with _answering():
            self._connection = Connection(url, connect_timeout=5)
            self._connection.connect()
            self._channel = self._connection.channel()

    def left(self) -> Iterable[Pending]:
        return ()

    def pending(self) -> Iterable[Pending]:
        while True:
            with _answering():
                message = self._channel.basic_get(self._name)
            if message is None:
                return
            self._looked_at.append(message)
            yield self._read(message)

    def is_there(self, pending: Pending) -> bool:
        return True

    def take(self, pending: Sequence[Pending]) -> Sequence[bool]:
        return [True] * len(pending)

    def finish(self, done: Sequence[Pending]) -> None:
        with _answering():
            for each in done:
                each.handle.ack()

    def give_back(self, pending: Pending) -> bool:
        """Do nothing: it is put back at the end, lest it be read again."""
        return True

    def close(self) -> None:
        with _answering():
            for message in self._looked_at:
                if not message.acknowledged:
                    message.requeue()
            self._connection.close()

    def _read(self, message: Any) -> Pending:
        headers: Mapping[str, Any] = message.headers or {}
        number = str(headers.get("id") or message.delivery_tag)
        try:
            task, args, kwargs, given = self._call(message, headers)
            link = task.link_for(args, kwargs, given, self._to)
            links = [link, *task.links_after(given)]
            options = dispatch_options(task.app, given)
        except DispatchError as error:
            return Pending(number, refusal=str(error), handle=message)
        return Pending(number, links, options, handle=message)

    def _call(self, message: Any, headers: Mapping[str, Any]) -> tuple[Any, Any, Any, Any]:
        if message.content_type != _JSON:
            raise DispatchError(
                f"expected a message as JSON, got {message.content_type}, which is never read; let "
                'Celery\'s workers run it, or send it with serializer="json"'
            )
        try:
            body = message.body
            args, kwargs, embedded = json.loads(body)
            name = headers["task"]
        except (ValueError, TypeError, KeyError):
            raise DispatchError(
                "expected a message as Celery writes it, got another; let Celery's workers run it"
            ) from None
        if embedded.get("chord"):
            raise DispatchError(
                "expected a task of no chord, got one, whose others Celery counts; let Celery's "
                "workers run it"
            )
        hard, soft = (headers.get("timelimit") or (None, None))[:2]
        given = {
            "eta": headers.get("eta") or None,
            "expires": headers.get("expires") or None,
            "time_limit": hard,
            "soft_time_limit": soft,
            "link": as_list(embedded.get("callbacks")),
            "link_error": as_list(embedded.get("errbacks")),
            "chain": [maybe_signature(each) for each in embedded.get("chain") or ()],
            "queue": self._name,
        }
        return self._task_for(name), args, kwargs, given


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # each transport of kombu's has errors of its own
        raise EngineUnavailableError(
            f"expected a broker that answers and has the queue, got {type(error).__name__}: {error}"
        ) from error
