"""A ledger of each kind, both engines and no worker yet, for each test."""

from tests.deployments.fixtures import *  # noqa: F403 - its fixtures, all of them
