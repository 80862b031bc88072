"""One deployment for each test, on the two engines that it names."""

from tests.deployments.fixtures import *  # noqa: F403 - what it offers is listed there
