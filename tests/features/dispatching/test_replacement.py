"""A job that was not begun is replaced by the next dispatch of its key."""

from datetime import timedelta

from tests.deployments.shared import House
from tests.features.jobs.dispatching.dispatch_options import Note, echo

HOUR = timedelta(hours=1)


def test_the_last_dispatch_wins_until_the_job_has_begun(house: House) -> None:
    key = house.unique("replaced")
    first = house.dispatch(echo, Note(text="first"), idempotency_key=key, delay=HOUR)

    second = house.dispatch(echo, Note(text="second"), idempotency_key=key, on_duplicate="replace")

    assert (second.id, second.disposition) == (first.id, "replaced")
    assert first.result() == "second"
    assert house.ledger.get(first.id).engine == house.engine
    third = house.dispatch(echo, Note(text="third"), idempotency_key=key, on_duplicate="replace")
    assert (third.disposition, third.result()) == ("existing", "second")
