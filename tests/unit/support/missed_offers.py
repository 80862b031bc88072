"""What befalls offers in the tests of the rescuer."""

from datetime import timedelta

from failsoft.dispatcher.maintenance.late_offers import LONGEST_PATIENCE
from failsoft.job_engine.policies.queue import DEFAULT
from tests.unit.support.memory_app import MemoryApp

PICKUP = DEFAULT.pickup
A_LITTLE = timedelta(seconds=1)


def miss_the_pickup(app: MemoryApp, looks: int = 1) -> None:
    for _ in range(looks):
        app.clock.advance(LONGEST_PATIENCE)
        app.workers()
        app.rescuer.tick()


def lose_the_offer(app: MemoryApp, times: int = 1) -> None:
    """Let the engines lose all that they have, and the rescuer find out."""
    for _ in range(times):
        app.rq.drop_messages()
        app.dramatiq.drop_messages()
        miss_the_pickup(app)
