"""The deployment of the acceptance tests."""

from tests.deployments.fixtures import *  # noqa: F403 - its fixtures, all of them
