"""The stage of the acceptance tests."""

from tests.integration.acceptance.conftest import *  # noqa: F403 - its fixtures, all of them
