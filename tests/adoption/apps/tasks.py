"""Tasks as programs on Celery have them, and what they did."""

from typing import Any

from celery import Celery, Task, current_task
from celery.exceptions import Ignore

from failsoft.adoption.celery import FailsoftTask
from tests.adoption.apps.holding import attempt

done: list[object] = []


class Watched(FailsoftTask):
    """A class of the program's own."""

    abstract = True

    def on_success(self, retval: object, task_id: str, args: Any, kwargs: Any) -> None:
        done.append(f"on_success {retval}")

    def on_failure(  # noqa: PLR0917 - Celery's
        self, exc: BaseException, task_id: str, args: Any, kwargs: Any, einfo: object
    ) -> None:
        done.append(f"on_failure {exc}")

    def on_retry(  # noqa: PLR0917 - Celery's
        self, exc: BaseException, task_id: str, args: Any, kwargs: Any, einfo: object
    ) -> None:
        done.append(f"on_retry {exc}")


# Nothing listens there: a shim that published would fail.
app = Celery("shop", broker="amqp://127.0.0.1:1//", task_cls=FailsoftTask)
app.conf.update(
    task_routes={"shop.sync": {"queue": "slow"}},
    failsoft_queues={"slow": "data-sync"},
    broker_connection_retry_on_startup=False,
)


@app.task
def add(one: int, two: int) -> int:
    done.append((one, two))
    return one + two


@app.task(name="shop.sync", time_limit=90, soft_time_limit=60)
def sync(rows: list[int]) -> None:
    done.append(rows)


@app.task(bind=True, max_retries=2, default_retry_delay=5)
def stubborn(self: Task, number: int) -> str:
    done.append((self.request.id, self.request.retries, current_task.name))
    try:
        int(f"number {number}")
    except ValueError as error:
        raise self.retry(exc=error, countdown=3) from error


@app.task(autoretry_for=(ValueError,), retry_backoff=2, max_retries=1)
def automatic() -> None:
    done.append("automatic")
    raise ValueError("again")


@app.task(bind=True, base=Watched, max_retries=1)
def watched(self: Task, how: str) -> str:
    if how == "retry" and self.request.retries == 0:
        raise self.retry(exc=ValueError("once more"), countdown=1)
    if how == "fail":
        raise ValueError("for good")
    return how


@app.task
def fail(number: int) -> None:
    done.append(f"try {number}")
    raise ValueError(f"number {number}")


@app.task
def ignore() -> None:
    raise Ignore


@app.task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@app.task
def after(result: object, word: str = "") -> None:
    done.append(("after", result, word))


@app.task
def failed(request: Any, error: Exception, traceback: object) -> None:
    done.append((request.id, str(error)))


@app.task
def failed_id(task_id: str) -> None:
    done.append(("id", task_id))


@app.task
def again(task: str) -> None:
    done.append(task)


@app.task(ignore_result=True)
def whole() -> object:
    return object()


@app.task
def hold(name: str) -> str:
    return attempt(name)
