"""Failed promises are shown with their values, as the asserts of a test file are."""

import pytest

pytest.register_assert_rewrite("understudy.testing")
