"""What clients request: single jobs, many at once, chains, groups, jobs with keys.

Asking again, after a reply that was lost, makes no second one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from failsoft.dispatcher import Dispatcher, DispatchRequest, JobHandle
from failsoft.dispatcher.options.options import DispatchOptions
from failsoft.job_engine.definitions.links import Link
from failsoft.job_engine.errors import FailsoftError
from failsoft.job_engine.records.groups import When
from tests.simulation.jobs.bodies import Order
from tests.simulation.jobs.definitions import Jobs
from tests.simulation.jobs.waits import Definition

CUSTOMERS = 2
DELAYS, EXPIRES = 0.2, 0.25

Handle = JobHandle[list[str]]
Ask = Callable[[Dispatcher], Sequence[Handle]]


@dataclass
class Requests:
    """Chooses what is requested."""

    jobs: Jobs
    rng: Random

    def any(self, number: int) -> Ask:
        """Choose the request of a number; what is returned requests the same every time."""
        kinds = (self._single, self._chain, self._group, self._many)
        by_key = (self._one_each, self._the_last, self._the_newest, self._one_at_once)
        make = self.rng.choices((*kinds, *by_key), (10, 1, 1, 1, 3, 1, 1, 1))[0]
        return make(number)

    def _single(self, number: int) -> Ask:
        definition, options = self.jobs.any(), self._options(number)
        return lambda to: [to.dispatch(definition, Order(number=number), **options)]

    def _chain(self, number: int) -> Ask:
        links = [
            Link(
                self.rng.choice(self.jobs.plain),
                Order(number=number),
                result_field="before" if place else None,
            )
            for place in range(2)
        ]
        return lambda to: to.dispatch_chain(*links[:-1], links[-1], chain_id=f"chain-{number}").jobs

    def _group(self, number: int) -> Ask:
        members = [Link(self._plain(), Order(number=number)) for _ in range(2)]
        completion = Link(self._plain(), Order(number=number), result_field="group")
        when: When = self.rng.choice(("all_ended", "all_succeeded"))

        def ask(to: Dispatcher) -> Sequence[Handle]:
            group = to.dispatch_group(members, completion, when=when, group_id=f"group-{number}")
            assert group.completion is not None
            return [group.completion]

        return ask

    def _many(self, number: int) -> Ask:
        definition = self._plain()
        requests = [
            DispatchRequest(Order(number=number), {"idempotency_key": f"many-{number}-{place}"})
            for place in range(2)
        ]

        def ask(to: Dispatcher) -> Sequence[Handle]:
            outcomes = to.dispatch_many(definition, requests)
            for each in outcomes:
                _raise(each.error)
            return [each.handle for each in outcomes if each.handle is not None]

        return ask

    def _one_each(self, number: int) -> Ask:
        order = self._order(number)
        return lambda to: [to.dispatch(self.jobs.one_each, order)]

    def _the_last(self, number: int) -> Ask:
        order = self._order(number)
        return lambda to: [to.dispatch(self.jobs.the_last, order)]

    def _the_newest(self, number: int) -> Ask:
        order = self._order(number)
        options = DispatchOptions(idempotency_key=f"newest-{order.customer}")
        options |= {"on_duplicate": "replace", "delay": timedelta(seconds=4)}
        return lambda to: [to.dispatch(self.jobs.the_newest, order, **options)]

    def _one_at_once(self, number: int) -> Ask:
        order = Order(number=number)
        keys = [f"once-{number}-{place}" for place in range(3)]
        definition = self.jobs.one_at_once
        return lambda to: [to.dispatch(definition, order, idempotency_key=key) for key in keys]

    def _plain(self) -> Definition:
        return self.rng.choice(self.jobs.plain)

    def _order(self, number: int) -> Order:
        return Order(number=number, customer=self.rng.randrange(CUSTOMERS))

    def _options(self, number: int) -> DispatchOptions:
        options = DispatchOptions(idempotency_key=f"order-{number}")
        if self.rng.random() < DELAYS:
            options["delay"] = timedelta(seconds=self.rng.uniform(0, 5))
        if self.rng.random() < EXPIRES:
            options["expires_in"] = timedelta(seconds=5 + self.rng.uniform(0.1, 6))
        return options


def _raise(error: FailsoftError | None) -> None:
    if error is not None:
        raise error
