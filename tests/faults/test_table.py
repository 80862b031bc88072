"""Every fault of the matrix has its tests, and the page tells which."""

from tests.faults.matrix import MATRIX
from tests.faults.table import PAGE, marked, page


def test_every_fault_from_f01_to_f35_has_a_test() -> None:
    assert [fault.id for fault in MATRIX] == [f"F{number:02}" for number in range(1, 36)]
    assert {fault.id for fault in MATRIX} == set(marked())


def test_the_page_is_what_the_tests_say() -> None:
    assert PAGE.read_text() == page(), "run `python -m tests.faults.table`"
