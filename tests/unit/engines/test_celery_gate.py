"""The next message is taken when the last one is decided and a slot is free."""

from functools import partial

from failsoft.engines.celery.gate import Gate


def is_open(gate: Gate) -> bool:
    return gate.wait(0)


def test_one_message_is_undecided_at_a_time() -> None:
    gate, acknowledged = Gate(2), list[str]()
    assert is_open(gate)

    gate.taken()
    assert not is_open(gate)
    gate.decided(partial(acknowledged.append, "first"))

    assert acknowledged == ["first"]
    assert is_open(gate)


def test_the_message_in_the_last_slot_is_acknowledged_when_a_slot_is_free() -> None:
    gate, acknowledged = Gate(2), list[str]()
    for name in ("first", "last"):
        gate.taken()
        gate.decided(partial(acknowledged.append, name))
    assert acknowledged == ["first"]
    assert not is_open(gate)

    gate.ended()

    assert acknowledged == ["first", "last"]
    assert is_open(gate)


def test_an_attempt_that_ends_opens_nothing_while_another_is_undecided() -> None:
    gate = Gate(2)
    gate.taken()
    gate.decided(lambda: None)
    gate.taken()

    gate.ended()

    assert not is_open(gate)


def test_a_message_that_is_given_back_leaves_its_slot_free() -> None:
    gate = Gate(1)
    gate.taken()

    gate.given_back()
    gate.ended()

    assert is_open(gate)
