"""Payloads of older versions are read; newer ones wait for a newer worker."""

from dataclasses import replace
from datetime import timedelta

from pydantic import BaseModel

from tests.features.house import PATIENCE, House
from tests.features.jobs.versions import Letter, versions_letter
from tests.features.lane import LANE
from tests.servers.processes import wait_until
from understudy.job_engine import JobState, declare_job


class OldLetter(BaseModel):
    address: str


def test_a_worker_reads_what_an_older_program_dispatched(house: House) -> None:
    old = declare_job(versions_letter.name, payload=OldLetter, result=str, queue=LANE.name)

    handle = house.dispatch(old, OldLetter(address="Rua 1, Porto"))

    assert handle.result(timedelta(seconds=PATIENCE)) == "Rua 1 in Porto"


def test_a_worker_gives_back_what_is_newer_than_it(house: House) -> None:
    newer = replace(versions_letter, version=3)

    handle = house.dispatch(newer, Letter(street="Rua 1", city="Porto"))

    job = wait_until(lambda: house.ledger.events(handle.id)[2:], PATIENCE, "it is given back")[0]
    assert (job.kind, job.state) == ("release", JobState.SCHEDULED)
    assert job.detail["reason"] == "payload version 3, this worker knows 2"
    handle.cancel()
