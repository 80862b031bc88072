"""The kit for `unittest`."""

import unittest
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, ClassVar

from failsoft.testkit.kit import Testkit
from failsoft.testkit.session import opened, options_of


class FailsoftTestCase(unittest.TestCase):
    """A test case whose every test has a Failsoft of its own.

    For coroutines, name `unittest.IsolatedAsyncioTestCase` after it: `class T(FailsoftTestCase,
    IsolatedAsyncioTestCase)`.

    Attributes:
        failsoft: The kit.
        failsoft_options: What the marker `failsoft` is given in pytest, such as `mode`.
        failsoft_jobs: Modules whose jobs every test has, with their schedules.
        failsoft_strict: Whether a test that leaves jobs behind fails, instead of warning.
    """

    failsoft: Testkit
    failsoft_options: ClassVar[Mapping[str, Any]] = {}
    failsoft_jobs: ClassVar[tuple[str, ...]] = ()
    failsoft_strict: ClassVar[bool] = False

    def setUp(self) -> None:
        """Begin with an empty ledger; a `setUp` of a subclass calls this one first."""
        super().setUp()
        stack = ExitStack()
        self.addCleanup(stack.close)
        options = options_of((), self.failsoft_options)
        self.failsoft = stack.enter_context(
            opened(options, modules=self.failsoft_jobs, strict=self.failsoft_strict)
        )
