"""What befalls offers in the tests of the rescuer."""

from datetime import timedelta

from failsoft.dispatcher.maintenance.rescuer import LONGEST_PATIENCE
from failsoft.job_engine.policies.queue import DEFAULT
from tests.unit.support.memory_app import House

PICKUP = DEFAULT.pickup
A_LITTLE = timedelta(seconds=1)


def miss_the_pickup(house: House, looks: int = 1) -> None:
    for _ in range(looks):
        house.clock.advance(LONGEST_PATIENCE)
        house.workers()
        house.rescuer.tick()


def lose_the_offer(house: House, times: int = 1) -> None:
    """Let the engines lose all that they have, and the rescuer find out."""
    for _ in range(times):
        house.rq.drop_messages()
        house.dramatiq.drop_messages()
        miss_the_pickup(house)
