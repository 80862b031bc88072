"""The fixtures of a whole deployment."""

from tests.deployments.fixtures import *  # noqa: F403
