"""What became of the offers of jobs to one engine, from the histories of the jobs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from failsoft.job_engine.records.routing.guard import GETS_NO_OFFERS, Delivery
from failsoft.job_engine.records.states import OFFER, RECOVER, REOFFER, JobState

#: The events that offer a job; that of a dispatch does where the job is `offered` after it.
OFFERS = ("dispatch", OFFER.name, REOFFER.name, RECOVER.name)


@dataclass(frozen=True, slots=True)
class OfferFacts:
    """One offer in the history of a job, with the job as it is and the attempt that it led to.

    Attributes:
        job_id: The job.
        name: The name of its definition.
        queue: Its queue.
        tags: Its tags.
        state: Its state now.
        job_epoch: Its epoch now.
        epoch: The offer's.
        engine: The engine that was offered the job.
        at: When.
        claimed_at: When the attempt began; None without one.
        outcome: The transition that ended it; None without an end.
        reoffered: Why the offer was made again (`REOFFER`); None where it was not.
    """

    job_id: str
    name: str
    queue: str
    tags: tuple[str, ...]
    state: JobState
    job_epoch: int
    epoch: int
    engine: str
    at: datetime
    claimed_at: datetime | None
    outcome: str | None
    reoffered: str | None


def deliveries(offers: Iterable[OfferFacts], engine: str, now: datetime) -> Sequence[Delivery]:
    """Return what became of the offers of one engine, the newest first.

    What is unknown is left out: an offer that ended with its job, by a pause, or because the
    engine gets no offers.

    Args:
        offers: Offers of the jobs in question; those of other engines are passed over.
        engine: The engine.
        now: The database's time.
    """
    mine = sorted((each for each in offers if each.engine == engine), key=_newest, reverse=True)
    found = (_delivery(each, now) for each in mine)
    return [each for each in found if each is not None]


def _newest(offer: OfferFacts) -> tuple[datetime, str]:
    return offer.at, offer.job_id


def _delivery(offer: OfferFacts, now: datetime) -> Delivery | None:
    is_claimed = offer.claimed_at is not None
    waits = offer.state is JobState.OFFERED and offer.job_epoch == offer.epoch
    is_missed = not is_claimed and offer.reoffered not in (None, GETS_NO_OFFERS)
    if not (is_claimed or waits or is_missed):
        return None
    return Delivery(
        offer.job_id,
        offer.name,
        offer.queue,
        offer.tags,
        offer.epoch,
        (offer.claimed_at or now) - offer.at,
        is_claimed,
        offer.outcome,
        is_missed,
    )
