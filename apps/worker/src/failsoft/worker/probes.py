"""Probing every engine of a program for every queue that it declares."""

from collections.abc import Iterator

from failsoft.dispatcher.offering.engines import EngineSet
from failsoft.job_engine.policies.queue import declared_queues
from failsoft.job_engine.ports.engine import EngineHealth


def probed(engines: EngineSet) -> Iterator[tuple[str, str, EngineHealth]]:
    """Probe every engine for every declared queue; one that is away once."""
    for engine in engines:
        health = EngineHealth(healthy=True, detail="")
        for queue in declared_queues().values():
            # An engine that is away is probed once, not once for each queue.
            is_away = not (health.healthy or health.is_refused)
            health = health if is_away else engines.probe(engine, queue)
            yield engine, queue.name, health
