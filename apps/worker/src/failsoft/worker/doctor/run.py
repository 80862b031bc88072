"""All checks, in their order."""

from datetime import timedelta

from failsoft.job_engine.values.findings import Check, Finding
from failsoft.worker.configuration.settings import Settings
from failsoft.worker.doctor.checks import look_at_all
from failsoft.worker.doctor.engine_checks import engine_checks
from failsoft.worker.doctor.job_checks import look_at_jobs
from failsoft.worker.doctor.ledger_checks import look_at_ledger
from failsoft.worker.doctor.namespace_checks import look_at_namespaces
from failsoft.worker.doctor.retention_checks import look_at_retention
from failsoft.worker.doctor.version_checks import look_at_versions
from failsoft.worker.doctor.worker_checks import look_at_workers


def examine(settings: Settings, limit: timedelta) -> list[Finding]:
    """Run every check; each ends within the limit."""
    # First and alone, because it declares the queues that the others use.
    jobs = look_at_jobs(settings, limit)
    remedy = "check the ledger's database, or correct FAILSOFT_LEDGER_URL"
    checks = [
        Check("ledger", lambda: look_at_ledger(settings), remedy),
        *engine_checks(settings, limit),
        Check("namespaces", lambda: look_at_namespaces(settings), remedy),
        Check("workers", lambda: look_at_workers(settings), remedy),
        Check("retention", lambda: look_at_retention(settings), remedy),
        Check("versions", lambda: look_at_versions(settings)),
    ]
    return [*jobs, *look_at_all(checks, limit)]
