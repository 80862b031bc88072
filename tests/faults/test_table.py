"""Every fault of the matrix has its tests, and the page lists them."""

from tests.faults.matrix import MATRIX
from tests.faults.table import PAGE, marked, page


def test_every_fault_of_the_matrix_has_a_test() -> None:
    assert [fault.id for fault in MATRIX] == sorted({fault.id for fault in MATRIX})
    assert {fault.id for fault in MATRIX} == set(marked())


def test_the_page_is_what_the_tests_say() -> None:
    assert PAGE.read_text() == page(), "run `python -m tests.faults.table`"
