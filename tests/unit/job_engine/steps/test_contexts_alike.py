"""A job may become `async` between two attempts: both contexts offer the same, in the same way."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from failsoft.job_engine import AsyncJobContext, JobContext

#: What an `async def` job calls without `await`, and why.
NOT_AWAITED = {
    "branch": "it describes a step and asks nobody",
    "idempotency_key": "it is made of what the context knows",
    "flush": "the executor calls it, in a thread",
}
Parameter = tuple[str, str, object]


def methods(context: type) -> dict[str, Callable[..., Any]]:
    named = inspect.getmembers(context, inspect.isfunction)
    return {name: method for name, method in named if not name.startswith("_")}


def parameters(method: Callable[..., Any]) -> list[Parameter]:
    """Everything about the parameters but their types: what an async job may pass is more."""
    given = inspect.signature(method).parameters.values()
    return [(each.name, each.kind.description, each.default) for each in given]


def is_awaited(method: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method)


PLAIN, ASYNC = methods(JobContext), methods(AsyncJobContext)


def test_both_contexts_have_the_same_methods() -> None:
    assert ASYNC.keys() == PLAIN.keys()


@pytest.mark.parametrize("name", ["__init__", *sorted(PLAIN.keys() & ASYNC.keys())])
def test_a_method_takes_the_same_in_both_contexts(name: str) -> None:
    plain, other = getattr(JobContext, name), getattr(AsyncJobContext, name)

    assert parameters(other) == parameters(plain)


def test_an_async_job_awaits_whatever_may_take_long() -> None:
    assert {name for name, method in ASYNC.items() if not is_awaited(method)} == set(NOT_AWAITED)


def test_a_plain_job_awaits_nothing() -> None:
    assert [name for name, method in PLAIN.items() if is_awaited(method)] == []


@pytest.mark.parametrize("name", sorted(PLAIN.keys() & ASYNC.keys()))
def test_a_loop_over_one_is_a_loop_over_the_other(name: str) -> None:
    looped = inspect.isgeneratorfunction(PLAIN[name])

    assert inspect.isasyncgenfunction(ASYNC[name]) is looped
