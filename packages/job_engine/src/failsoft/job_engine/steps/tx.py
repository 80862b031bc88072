"""Steps that share a transaction with their own record: exactly once, both or neither (rule 11)."""

from datetime import timedelta

from failsoft.job_engine.steps.journal import refuse
from failsoft.job_engine.steps.runner import StepPolicy

#: How long a `tx` step may take unless it says otherwise: it keeps other writers out, on SQLite
#: all of them, and the attempt's own lease from being renewed.
TX_TIMEOUT = timedelta(seconds=5)
#: The share of the attempt's lease that a `tx` step may take at most.
LEASE_SHARE = 0.5


def tx_timeout(policy: StepPolicy, lease: timedelta) -> timedelta:
    """Return how long a `tx` step may take."""
    return policy.timeout or min(TX_TIMEOUT, lease * LEASE_SHARE)


def check_transaction(name: str, policy: StepPolicy, lease: timedelta) -> None:
    """Hold a job whose `tx` step contradicts itself."""
    if not policy.tx:
        return
    if policy.once or policy.verify is not None:
        refuse(f"step {name!r}: expected `tx` without `once` and `verify`, which it does not need")
    longest = lease * LEASE_SHARE
    if policy.timeout is not None and policy.timeout > longest:
        refuse(
            f"step {name!r}: expected a timeout of at most {longest} for a `tx` step, which is "
            f"half the lease of its queue, got {policy.timeout}"
        )
