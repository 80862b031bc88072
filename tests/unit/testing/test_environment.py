"""No test depends on the developer's variables."""

import os

from tests import environment


def test_what_others_set_is_forgotten_and_what_tests_set_stays() -> None:
    given = {
        "TERM": "dumb",
        "NO_COLOR": "1",
        "PGOPTIONS": "-c default_transaction_read_only=on",
        "FAILSOFT_JOBS": "nosuch",
        "DATABASE_URL": "mysql://",
        "FAILSOFT_TEST_RUN": "mine",
        "HOME": "/home/me",
    }

    environment.forget(given)

    assert given == {**environment.GIVEN, "FAILSOFT_TEST_RUN": "mine", "HOME": "/home/me"}


def test_this_run_has_forgotten_them() -> None:
    assert os.environ["TERM"] == environment.GIVEN["TERM"]
    assert not environment.NAMES & os.environ.keys() - environment.GIVEN.keys()
