"""Every bug that others shipped has its tests, and the page lists them."""

import pytest

from tests.others_bugs.bugs import BUGS, Bug
from tests.others_bugs.page import PAGE, missing, page


@pytest.mark.parametrize("bug", BUGS, ids=range(1, len(BUGS) + 1))
def test_the_tests_of_a_bug_are_there(bug: Bug) -> None:
    assert bug.tests
    assert missing(bug.tests) == []


def test_the_page_is_what_the_table_says() -> None:
    assert PAGE.read_text() == page(), "run `python -m tests.others_bugs.page`"
