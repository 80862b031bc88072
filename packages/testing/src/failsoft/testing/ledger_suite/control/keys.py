# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises about the signing keys: one signs, and none ends before its messages."""

from datetime import timedelta

from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.message import ACTIVATION
from failsoft.testing.ledger_suite.fixtures import LONG, MOMENT, PassTime

KEY_BYTES = 32
JUST_OVER = ACTIVATION + timedelta(seconds=1)


class KeyPromises:
    """`signing_keys`, `key_records`, `rotate_keys`, `revoke_key`, `forget_ended_keys`."""

    def test_a_ledger_has_a_signing_key(self, ledger: Ledger) -> None:
        """The same at each look, and long enough."""
        keys, again = ledger.signing_keys(), ledger.signing_keys()

        assert list(keys) == list(again)
        assert keys
        assert all(len(key.secret) >= KEY_BYTES for key in keys)
        assert [key.kid for key in keys] == [key.kid for key in ledger.key_records()]

    def test_a_new_key_is_known_before_it_signs(self, ledger: Ledger, pass_time: PassTime) -> None:
        """Every process has read it by the time it meets a message that it signed."""
        old = the_only_key(ledger, pass_time)

        new = ledger.rotate_keys(LONG)

        assert kids(ledger) == [old, new]
        pass_time(JUST_OVER)
        assert kids(ledger) == [new, old]

    def test_of_keys_that_are_all_new_the_oldest_signs(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """Also where a ledger's first key is as young: fewer processes have read the next one."""
        ledger.revoke_key(the_only_key(ledger, pass_time))
        (first,) = kids(ledger)
        pass_time(timedelta(seconds=1))

        second = ledger.rotate_keys(LONG)

        assert kids(ledger) == [first, second]
        pass_time(JUST_OVER)
        assert kids(ledger) == [second, first]

    def test_an_old_key_ends_after_the_overlap(self, ledger: Ledger, pass_time: PassTime) -> None:
        """The new one has no end."""
        old = the_only_key(ledger, pass_time)

        new = ledger.rotate_keys(MOMENT)

        assert [key.kid for key in ledger.key_records() if key.ends_at] == [old]
        pass_time(MOMENT)
        assert set(kids(ledger)) == {old, new}
        pass_time(JUST_OVER)
        assert kids(ledger) == [new]
        assert ledger.key_records()[0].age >= MOMENT

    def test_a_second_rotation_moves_no_end_that_is_set(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """All but the newest end, each when the rotation after it said."""
        old = the_only_key(ledger, pass_time)
        first = ledger.rotate_keys(MOMENT)

        second = ledger.rotate_keys(LONG)

        assert set(kids(ledger)) == {old, first, second}
        pass_time(MOMENT + JUST_OVER)
        assert kids(ledger) == [second, first]
        pass_time(LONG)
        assert kids(ledger) == [second]

    def test_a_revoked_key_is_valid_no_longer(self, ledger: Ledger, pass_time: PassTime) -> None:
        """Another one is made where none would be left, and signs at once."""
        leaked = the_only_key(ledger, pass_time)

        assert ledger.revoke_key(leaked)

        (other,) = kids(ledger)
        assert other != leaked
        assert not ledger.revoke_key("unknown")
        assert kids(ledger) == [other]

    def test_a_revocation_leaves_a_key_that_lasts(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """One that is in its overlap would end, and nothing could be signed any more."""
        old = the_only_key(ledger, pass_time)
        leaked = ledger.rotate_keys(LONG)

        ledger.revoke_key(leaked)

        lasting = [key.kid for key in ledger.key_records() if key.ends_at is None]
        assert len(lasting) == 1
        assert set(kids(ledger)) == {old, *lasting}

    def test_keys_that_have_ended_are_forgotten(self, ledger: Ledger, pass_time: PassTime) -> None:
        """Those that are accepted stay."""
        leaked = the_only_key(ledger, pass_time)
        ledger.revoke_key(leaked)

        assert ledger.forget_ended_keys() == 1
        assert ledger.forget_ended_keys() == 0
        assert not ledger.revoke_key(leaked)
        assert len(kids(ledger)) == 1


def kids(ledger: Ledger) -> list[str]:
    """Return the ids of the valid keys, the one that signs first."""
    return [key.kid for key in ledger.signing_keys()]


def the_only_key(ledger: Ledger, pass_time: PassTime) -> str:
    """Leave a ledger with one key that signs, whatever a test before this one did."""
    for kid in kids(ledger):
        ledger.revoke_key(kid)
    ledger.forget_ended_keys()
    pass_time(JUST_OVER)
    (kid,) = kids(ledger)
    return kid
