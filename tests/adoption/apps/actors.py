"""Actors as programs on Dramatiq have them, and what they did."""

from typing import Any

import dramatiq
from dramatiq.middleware import CurrentMessage, Middleware, SkipMessage, default_middleware

from failsoft.adoption.dramatiq import FailsoftBroker
from tests.adoption.apps.holding import attempt

done: list[object] = []


class Watch(Middleware):
    """Middleware of the program's own."""

    @property
    def actor_options(self) -> set[str]:
        return {"colour"}

    def before_process_message(self, broker: object, message: Any) -> None:
        done.append(f"before {message.actor_name}")
        if message.options.get("colour") == "none":
            raise SkipMessage("no colour")

    def after_process_message(
        self, broker: object, message: Any, *, result: object = None, exception: object = None
    ) -> None:
        done.append(f"after {message.actor_name}: {result} {type(exception).__name__}")

    def after_skip_message(self, broker: object, message: Any) -> None:
        done.append(f"skipped {message.actor_name}")

    def before_worker_boot(self, broker: object, worker: object) -> None:
        raise AssertionError("there is no worker of Dramatiq's")


broker = FailsoftBroker(
    [*(each() for each in default_middleware), CurrentMessage(), Watch()],
    queues={"Data_Sync": "data-sync"},
)
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True)
def add(one: int, two: int) -> int:
    done.append((one, two))
    return one + two


@dramatiq.actor(queue_name="Data_Sync", priority=10)
def sync(rows: list[int]) -> None:
    done.append(rows)


@dramatiq.actor(max_retries=2, min_backoff=1000, max_backoff=2000, time_limit=90_000)
def fail(number: int) -> None:
    done.append(f"try {number}")
    raise ValueError(f"number {number}")


@dramatiq.actor(throws=KeyError)
def refuse() -> None:
    raise KeyError("never again")


@dramatiq.actor(retry_when=lambda retries, error: retries < 1)
def doubt() -> None:
    done.append("doubt")
    raise dramatiq.errors.Retry("later", delay=3000)


@dramatiq.actor
def follow(message: dict[str, Any], result: Any) -> None:
    done.append((message["actor_name"], result))


@dramatiq.actor
def complete(word: str) -> None:
    done.append(word)


@dramatiq.actor
async def wait() -> str:
    message = CurrentMessage.get_current_message()
    assert message is not None
    done.append(message.message_id)
    return "waited"


@dramatiq.actor
def whole() -> object:
    return object()


@dramatiq.actor(store_results=True)
def hold(name: str) -> str:
    return attempt(name)
