"""`unique`, `throttle` and `debounce`: what runs of many dispatches that mean the same."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from tests.features.house import House
from tests.features.jobs.dispatching import Note, echo
from understudy.dispatcher import JobHandle
from understudy.job_engine import Debounce, Throttle, Unique

HOUR = timedelta(hours=1)
BY = ("customer",)


def test_a_unique_job_is_there_once_until_it_has_ended(house: House) -> None:
    customer, one = house.unique("acme"), Unique(by=BY)

    def dispatch(number: int) -> JobHandle[str]:
        note = Note(text=str(number), customer=customer)
        return house.dispatch(echo, note, unique=one, delay=HOUR)

    with ThreadPoolExecutor(4) as threads:
        handles = list(threads.map(dispatch, range(8)))

    assert len({handle.id for handle in handles}) == 1
    assert [handle.created for handle in handles].count(True) == 1
    handles[0].cancel()
    assert dispatch(9).created


def test_one_for_a_period_is_not_there_again_before_it_is_over(house: House) -> None:
    customer, once = house.unique("acme"), Throttle(by=BY, period=HOUR)
    note = Note(text="first", customer=customer)
    first = house.dispatch(echo, note, throttle=once)
    assert first.result() == "first"

    left_out = house.dispatch(echo, Note(text="second", customer=customer), throttle=once)

    assert (left_out.id, left_out.disposition) == (first.id, "existing")
    assert left_out.result() == "first"


def test_of_debounced_dispatches_the_last_runs(house: House) -> None:
    customer = house.unique("acme")
    periods = [HOUR, HOUR, HOUR, timedelta(milliseconds=100)]
    handles = [
        house.dispatch(
            echo,
            Note(text=str(number), customer=customer),
            debounce=Debounce(by=BY, period=period),
        )
        for number, period in enumerate(periods)
    ]

    assert len({handle.id for handle in handles}) == 1
    assert handles[0].result() == "3"
    assert house.kinds(handles[0]).count("replace") == 3
