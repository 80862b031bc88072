"""What pytest loads of this distribution: a broken promise shows the values that broke it.

An entry point of the group `pytest11`. The suites are no test modules, so that pytest would not
rewrite their asserts by itself.
"""

import pytest

pytest.register_assert_rewrite(
    "failsoft.testing.engine_suite", "failsoft.testing.engine_kit", "failsoft.testing.ledger_suite"
)
