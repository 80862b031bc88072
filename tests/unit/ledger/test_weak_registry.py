"""A registry lists what is alive, whatever else happens to it meanwhile."""

import gc

from failsoft.ledger.database.weak_registry import WeakRegistry


class Thing:
    """Something that can be referred to weakly."""


def test_it_lists_what_is_alive_and_was_not_discarded() -> None:
    registry = WeakRegistry[Thing]()
    kept, discarded, dropped = Thing(), Thing(), Thing()
    for each in (kept, discarded, dropped):
        registry.add(each)
    del each

    registry.discard(discarded)
    registry.discard(discarded)
    del dropped
    gc.collect()

    assert list(registry) == [kept]


def test_what_is_added_while_it_is_gone_through_does_no_harm() -> None:
    registry = WeakRegistry[Thing]()
    things = [Thing() for _ in range(3)]
    for each in things:
        registry.add(each)

    for each in registry:
        things.append(Thing())
        registry.add(things[-1])
        registry.discard(each)

    assert set(registry) == set(things[3:])
