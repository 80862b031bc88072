"""Chains and groups that make no sense, or are not there."""

from collections.abc import Callable

import pytest

from failsoft.dispatcher import Dispatcher
from failsoft.job_engine import Link
from failsoft.job_engine.errors import (
    DuplicateDispatchError,
    GroupNotFoundError,
    IdempotencyConflictError,
    OptionInvalidError,
)
from tests.unit.support.attempts import Mail
from tests.unit.support.flows import (
    COUNT,
    DIGEST,
    WRITE,
    Digest,
    FlowApp,
    Numbers,
    add,
    count,
    digest,
    single,
)


def test_a_chain_in_a_circle_cannot_be_recorded() -> None:
    app = FlowApp()
    first = app.dispatcher.dispatch_chain(
        Link(count, Mail(), job_id="a"), Link(count, Mail(), job_id="b")
    )

    for ids in (("b", "a"), ("c", "a"), ("a", "c")):
        with pytest.raises((DuplicateDispatchError, IdempotencyConflictError)):
            app.dispatcher.dispatch_chain(*(Link(count, Mail(), job_id=each) for each in ids))

    assert {job.id for job in app.ledger.list_jobs()} == {job.id for job in first.jobs}


BAD: dict[str, Callable[[Dispatcher], object]] = {
    "chain of 1 to 100": lambda d: d.dispatch_chain(*[COUNT] * 101),
    "no result_field in the first": lambda d: d.dispatch_chain(WRITE, COUNT),
    "a field of Mail": lambda d: d.dispatch_chain(COUNT, Link(count, Mail(), result_field="x")),
    "ids of their own": lambda d: d.dispatch_chain(
        Link(count, Mail(), job_id="a"), COUNT, Link(count, Mail(), job_id="a")
    ),
    "of their own, got \\['c-1'\\]": lambda d: d.dispatch_chain(
        Link(count, Mail(), job_id="c-1"), COUNT, chain_id="c"
    ),
    "none of the group's jobs, got 'g-0'": lambda d: d.dispatch_group(
        [COUNT], DIGEST, group_id="g"
    ),
    "none of the group's jobs, got 'h-completion'": lambda d: d.dispatch_group(
        [COUNT], COUNT, group_id="h"
    ),
    "an id of 1 to 48": lambda d: d.dispatch_chain(COUNT, chain_id="a b"),
    "engines that this program has": lambda d: d.dispatch_chain(
        COUNT, Link(count, Mail(), engines=("horse",))
    ),
    "group of 1 to": lambda d: d.dispatch_group([]),
    "jobs without unique": lambda d: d.dispatch_group([Link(single, Mail())]),
    "when to be": lambda d: d.dispatch_group([COUNT], when="never"),  # type: ignore[arg-type]
    "no result_field in the jobs": lambda d: d.dispatch_group([WRITE]),
    "no job_id in a group": lambda d: d.dispatch_group([Link(count, Mail(), job_id="a")]),
    "for GroupResult": lambda d: d.dispatch_group([COUNT], count),  # type: ignore[arg-type]
    "a field of Numbers": lambda d: d.dispatch_chain(
        COUNT, Link(add, Numbers([1]), result_field="root")
    ),
    "a field of Digest": lambda d: d.dispatch_group(
        [COUNT], Link(digest, Digest(), result_field="x")
    ),
}


@pytest.mark.parametrize("expected", BAD)
def test_what_makes_no_sense_is_refused_and_nothing_recorded(expected: str) -> None:
    app = FlowApp()

    with pytest.raises(OptionInvalidError, match=expected):
        BAD[expected](app.dispatcher)

    assert not app.ledger.list_jobs()


def test_a_group_that_is_not_there() -> None:
    with pytest.raises(GroupNotFoundError, match="'unknown'"):
        FlowApp().ledger.group("unknown")
