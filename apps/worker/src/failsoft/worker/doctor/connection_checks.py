"""Check of the number of connections that the ledger's PostgreSQL allows."""

from collections.abc import Iterable

from sqlalchemy import text

from failsoft.job_engine.records.job import WorkerRecord
from failsoft.job_engine.values.findings import Finding, warning_if
from failsoft.ledger import Database
from failsoft.ledger.database.pool import SPARE
from failsoft.worker.configuration.settings import Settings
from failsoft.worker.wiring import KEEPERS

#: The share of the connections in use from which too few are left, as for a deploy.
ENOUGH = 0.8

#: The connections of ordinary roles: without those reserved for superusers; the role and the
#: database may have a limit, or -1 for none.
_FACTS = text(
    """
    SELECT current_setting('max_connections')::int
         - current_setting('superuser_reserved_connections')::int
         - coalesce(current_setting('reserved_connections', true), '0')::int AS ordinary,
           (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user) AS of_role,
           (SELECT datconnlimit FROM pg_database WHERE datname = current_database()) AS of_database,
           count(*) AS used,
           count(*) FILTER (WHERE usename = current_user) AS used_by_role,
           count(*) FILTER (WHERE datname = current_database()) AS used_of_database
    FROM pg_stat_activity WHERE backend_type = 'client backend'
    """
)
_REMEDY = (
    "raise max_connections, lower FAILSOFT_LEDGER_POOL, or put a pooler before PostgreSQL; see "
    "docs/how-to/ledger-postgresql.md"
)


def look_at_connections(
    database: Database, settings: Settings, live: Iterable[WorkerRecord]
) -> Finding:
    """Compare what is in use, and what live workers may take, with what the server allows."""
    facts = database.read(lambda connection: connection.execute(_FACTS).one())
    limits = [(facts.ordinary, facts.used, "max_connections")]
    if facts.of_role is not None and facts.of_role >= 0:
        limits.append((facts.of_role, facts.used_by_role, "the role's limit"))
    if facts.of_database >= 0:
        limits.append((facts.of_database, facts.used_of_database, "the database's limit"))
    most = sum(_most(worker, settings) for worker in live)
    allowed, used, by = min(limits, key=lambda each: (each[0] - each[1], each[0]))
    found = f"{used} of {allowed} in use, by {by}; live workers take up to {most}"
    is_short = used > allowed * ENOUGH or most > min(limit for limit, _, _ in limits)
    return warning_if(is_short, "ledger connections", found, _REMEDY)


def _most(worker: WorkerRecord, settings: Settings) -> int:
    return (settings.ledger_pool or worker.slots + KEEPERS) + SPARE
