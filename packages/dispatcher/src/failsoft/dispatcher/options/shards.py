"""Which of several ledgers a job is recorded in, and what must not cross from one to another.

A ledger keeps its promises about keys and limits among its own jobs. What is the same for another
key of a shard may stand in another ledger, so a key or a limit must hold its shard within itself.
"""

from collections.abc import Sequence
from hashlib import sha256

from pydantic import BaseModel

from failsoft.dispatcher.options.checks import check_options, check_shard
from failsoft.dispatcher.options.options import DispatchOptions, identity_of
from failsoft.job_engine.definitions.definition import AnyDefinition
from failsoft.job_engine.errors import OptionInvalidError
from failsoft.job_engine.policies.limits import Concurrency, RateLimit
from failsoft.job_engine.policies.uniqueness import Identity
from failsoft.job_engine.validation import shown


def choose(ledgers: Sequence[str], shard: str) -> str:
    """Return the ledger that a shard's jobs are in, by rendezvous hashing.

    It is the same in every process, whatever the order of the names, on every version of Python.
    Another ledger takes over an equal part of each one's shards, and no shard moves but to it.

    Args:
        ledgers: The names of the ledgers.
        shard: The key.
    """
    return max(ledgers, key=lambda name: (sha256(f"{name}\0{shard}".encode()).digest(), name))


def expect_shard(shard: str | None) -> str:
    """Refuse what belongs to one of several ledgers, and does not say to which.

    Raises:
        OptionInvalidError: There is no shard, or one that is none.
    """
    if shard is None:
        raise OptionInvalidError(
            "expected a shard=, such as a tenant's id, got none: jobs are divided among the "
            "ledgers of FAILSOFT_LEDGERS by it"
        )
    check_shard(shard)
    return shard


def expect_within(
    shard: str, job: AnyDefinition, payload: BaseModel, options: DispatchOptions
) -> None:
    """Refuse keys and limits that jobs of other shards may have, too.

    Raises:
        OptionInvalidError: There is one; the message says what to do.
    """
    check_options(options, DispatchOptions.__annotations__)
    expect_named(shard, "idempotency_key", options.get("idempotency_key"))
    expect_named(shard, "job_id", options.get("job_id"))
    given: dict[str, Identity | Concurrency | RateLimit | None] = {
        "concurrency": options.get("concurrency", job.concurrency),
        "rate_limit": options.get("rate_limit", job.rate_limit),
    }
    if (identity := identity_of(job, options)) is not None:
        given[type(identity).__name__.lower()] = identity
    for name, policy in given.items():
        if policy is not None and not _holds(policy.by, payload, shard):
            raise OptionInvalidError(
                f"expected {name} by a field of the payload that holds the shard {shown(shard)}, "
                f"got by={policy.by!r}: it would hold within each ledger of FAILSOFT_LEDGERS, and "
                "not among all of them"
            )


def expect_named(shard: str, option: str, value: object) -> None:
    """Refuse a key, or an id, that does not begin with its shard: another's could be the same.

    Raises:
        OptionInvalidError: It does not.
    """
    if isinstance(value, str) and not _begins_with(value, shard):
        raise OptionInvalidError(
            f"expected {option} to begin with its shard, as {shown(f'{shard}-1')}, got "
            f"{shown(value)}: the ledgers of other shards do not know it"
        )


def _begins_with(text: str, shard: str) -> bool:
    rest = text.removeprefix(shard)
    return text.startswith(shard) and not rest[:1].isalnum()


def _holds(fields: Sequence[str], payload: BaseModel, shard: str) -> bool:
    return any(str(getattr(payload, name, None)) == shard for name in fields)
