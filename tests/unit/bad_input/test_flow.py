"""Chains, groups and events that could not work are refused, and nothing is stored."""

from collections.abc import Callable
from typing import Any

import pytest

from failsoft.job_engine import Link, Unique
from failsoft.job_engine.errors import DispatchError
from failsoft.job_engine.values.codec import MAX_PAYLOAD_BYTES
from tests.unit.bad_input.refusals import (
    NO_SPANS,
    NO_TEXT,
    OUT_OF_SPAN,
    SECOND,
    refused,
)
from tests.unit.support.attempts import Mail, define
from tests.unit.support.memory_app import WELCOME, MemoryApp

LINK = Link(WELCOME, Mail())
UNIQUE = define(lambda ctx: None, unique=Unique(by=()))
NO_JOBS: tuple[Any, ...] = (5, "welcome", None, lambda payload, ctx: None)
IDS: tuple[Any, ...] = (*(value for value in NO_TEXT if value is not None), "", "a b", "i" * 65)
NO_ENGINES: tuple[Any, ...] = (5, "rq", ["rq"], ("",), ("rq", 5))
NO_FIELDS: tuple[Any, ...] = (5, ["user_id"], "f" * 129)

Give = Callable[[MemoryApp, Any], object]

ROWS: dict[str, tuple[Give, tuple[Any, ...]]] = {
    "link.job": (lambda app, value: Link(value, Mail()), NO_JOBS),
    "link.payload": (
        lambda app, value: app.dispatcher.dispatch_chain(Link(WELCOME, value)),
        (5, None, {"user_id": 7}, Mail),
    ),
    "link.result_field": (
        lambda app, value: Link(WELCOME, Mail(), result_field=value),
        NO_FIELDS,
    ),
    "link.job_id": (lambda app, value: Link(WELCOME, Mail(), job_id=value), IDS),
    "link.engines": (lambda app, value: Link(WELCOME, Mail(), engines=value), NO_ENGINES),
    "chain.links": (
        lambda app, value: app.dispatcher.dispatch_chain(*value),
        (
            (),
            (WELCOME,),
            (LINK, None),
            (LINK,) * 101,
            (Link(WELCOME, Mail(), result_field="user_id"),),
            (LINK, Link(WELCOME, Mail(), result_field="nothing")),
            (Link(WELCOME, Mail(), job_id="a"), Link(WELCOME, Mail(), job_id="a")),
            (Link(UNIQUE, Mail()),),
            (Link(WELCOME, Mail(), engines=("kafka",)),),
        ),
    ),
    "chain.chain_id": (
        lambda app, value: app.dispatcher.dispatch_chain(LINK, chain_id=value),
        (*IDS, "i" * 49),
    ),
    "group.links": (
        lambda app, value: app.dispatcher.dispatch_group(value),
        (
            (),
            5,
            None,
            LINK,
            [WELCOME],
            [LINK, 5],
            [Link(WELCOME, Mail(), result_field="user_id")],
            [Link(WELCOME, Mail(), job_id="a")],
            [Link(UNIQUE, Mail())],
        ),
    ),
    "group.completion": (
        lambda app, value: app.dispatcher.dispatch_group([LINK], value),
        (5, "welcome", WELCOME, lambda payload, ctx: None),
    ),
    "group.when": (
        lambda app, value: app.dispatcher.dispatch_group([LINK], when=value),
        ("always", "", 5, None),
    ),
    "group.group_id": (
        lambda app, value: app.dispatcher.dispatch_group([LINK], group_id=value),
        (*IDS, "i" * 49),
    ),
    "event.name": (
        lambda app, value: app.dispatcher.send_event(value, key="k"),
        (*NO_TEXT, "", "n" * 129, "n\0"),
    ),
    "event.payload": (
        lambda app, value: app.dispatcher.send_event("paid", value, key="k"),
        (float("nan"), {1: "one"}, object(), "\ud800", "x" * MAX_PAYLOAD_BYTES),
    ),
    "event.to": (
        lambda app, value: app.dispatcher.send_event("paid", to=value),
        (5, b"id", "", "a b", None),
    ),
    "event.key": (
        lambda app, value: app.dispatcher.send_event("paid", key=value),
        (*NO_TEXT, "", "k" * 256, "k\0"),
    ),
    "event.event_id": (
        lambda app, value: app.dispatcher.send_event("paid", key="k", event_id=value),
        (5, "", "a b", "i" * 65),
    ),
    "event.keep": (
        lambda app, value: app.dispatcher.send_event("paid", key="k", keep=value),
        tuple(value for value in (*NO_SPANS, *OUT_OF_SPAN) if value is not None),
    ),
}
PAIRS = [(option, value) for option, (_, values) in ROWS.items() for value in values]


@pytest.mark.parametrize(
    ("option", "value"), PAIRS, ids=[f"{n}-{pair[0]}" for n, pair in enumerate(PAIRS)]
)
def test_an_option_that_could_not_work(option: str, value: Any) -> None:
    app = MemoryApp()

    refused(DispatchError, lambda: ROWS[option][0](app, value))
    assert [app.ledger.counts(), app.offered(app.rq), app.events] == [{}, [], []]


def test_an_event_is_for_a_job_or_for_a_key() -> None:
    app = MemoryApp()

    message = refused(DispatchError, lambda: app.dispatcher.send_event("paid", to="j", key="k"))

    assert "both or neither" in message


@pytest.mark.parametrize("timeout", [*NO_SPANS, -SECOND])
def test_a_chain_and_a_group_are_waited_for_so_long(timeout: Any) -> None:
    app = MemoryApp()
    chain, group = app.dispatcher.dispatch_chain(LINK), app.dispatcher.dispatch_group([LINK])

    refused(DispatchError, lambda: chain.result(timeout))
    refused(DispatchError, lambda: group.wait(timeout))
