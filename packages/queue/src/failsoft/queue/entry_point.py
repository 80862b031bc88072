"""The name that every RQ job of ours carries; `SafeJob` calls the worker's processor instead."""

from typing import NoReturn

from failsoft.engine_api import ConfigurationError


def perform(wire: object) -> NoReturn:
    """Refuse to run: a plain `rq worker` found one of our queues.

    Raises:
        ConfigurationError: Always. The ledger offers the job again to a worker of ours.
    """
    raise ConfigurationError(
        "expected `failsoft worker rq` to serve this queue, got a plain RQ worker; stop it, "
        "or give Failsoft a namespace of its own with FAILSOFT_NAMESPACE"
    )
