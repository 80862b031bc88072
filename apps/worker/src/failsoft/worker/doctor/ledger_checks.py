"""Checks of the ledger: its server or file, schema, durability, keys, and what waits in it."""

import stat
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from time import time

from sqlalchemy import select

from failsoft.job_engine.policies.queue import declared_queues
from failsoft.job_engine.records.manual_retry import MOST, DeadLetters
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.values.findings import (
    Finding,
    failure,
    failure_if,
    fine,
    warning,
    warning_if,
)
from failsoft.job_engine.values.redaction import redacted_url
from failsoft.ledger import Database, SqlLedger, check
from failsoft.ledger.database.timestamps import now_us
from failsoft.ledger.schema.revision import REVISION, standing
from failsoft.worker.configuration.settings import Settings
from failsoft.worker.doctor.connection_checks import look_at_connections
from failsoft.worker.doctor.database import existing_database, sqlite_path
from failsoft.worker.doctor.missing_jobs import LOST_REMEDY, REMEDY, look_at_wholeness
from failsoft.worker.doctor.worker_checks import open_queues

#: The largest difference between the ledger's clock and this host's without a warning.
MAX_SKEW = timedelta(seconds=5)
#: How long a record of the outbox may wait without a warning.
OUTBOX_PATIENCE = timedelta(minutes=1)
#: The oldest PostgreSQL version that is still maintained.
OLDEST_POSTGRESQL = 14

_SYNCHRONOUS = ("OFF", "NORMAL", "FULL", "EXTRA")
_UPGRADE = "run `failsoft ledger upgrade`"
_POSTGRESQL_FACTS = (
    "server_version",
    "server_version_num",
    "transaction_read_only",
    "synchronous_commit",
    "fsync",
)


def look_at_ledger(settings: Settings) -> Iterator[Finding]:
    """Check the ledger from its address to its queues; a fatal problem ends the checks."""
    path = sqlite_path(settings)
    with existing_database(settings) as database:
        if database is None:
            yield failure("ledger", f"no file at {path and path.absolute()}", _UPGRADE)
            return
        if path is not None:
            yield from _sqlite(database, path)
        else:
            yield from _postgresql(database, redacted_url(settings.ledger_url))
        yield _clock(database)
        check(database)
        yield _schema(database)
        if not database.is_sqlite:
            live = SqlLedger(database).live_workers()
            yield look_at_connections(database, settings, live)
        yield _signing_key(SqlLedger(database))
        yield _queues(database)
        yield from _for_people(SqlLedger(database))
        yield from _wholeness(settings, database)


def _sqlite(database: Database, path: Path) -> Iterator[Finding]:
    version = database.read(lambda c: c.exec_driver_sql("SELECT sqlite_version()").scalar_one())
    # Opening it has refused a network disk and a folder that every user may write to.
    yield fine("ledger", f"SQLite {version}, {path.absolute()} on a local disk")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        found = f"mode {mode:04o}: it holds payloads and signing keys, and others may open it"
        yield warning("ledger file", found, f"chmod 600 {path}")
    else:
        yield fine("ledger file", f"mode {mode:04o}")
    if path.stat().st_nlink > 1:
        found = "has another name, too: opened by that, it has another log, and both are lost"
        yield failure("ledger file", found, "remove the other hard link")
    journal = database.read(lambda c: c.exec_driver_sql("PRAGMA journal_mode").scalar_one())
    level = database.read(lambda c: c.exec_driver_sql("PRAGMA synchronous").scalar_one())
    found = f"journal_mode={journal}, synchronous={_SYNCHRONOUS[level]}"
    is_durable = journal == "wal" and _SYNCHRONOUS[level] in ("FULL", "EXTRA")
    remedy = "move the ledger to a disk that supports WAL"
    yield failure_if(not is_durable, "ledger durability", found, remedy)


def _postgresql(database: Database, shown: str) -> Iterator[Finding]:
    facts = database.read(
        lambda c: {
            name: str(c.exec_driver_sql(f"SHOW {name}").scalar_one()) for name in _POSTGRESQL_FACTS
        }
    )
    yield _postgresql_version(facts, shown)
    if facts["transaction_read_only"] == "on":
        yield failure("ledger role", "takes no writes", "name the primary in FAILSOFT_LEDGER_URL")
    else:
        yield fine("ledger role", "takes writes")
    found = f"synchronous_commit={facts['synchronous_commit']}, fsync={facts['fsync']}"
    is_volatile = "off" in (facts["synchronous_commit"], facts["fsync"])
    remedy = "switch both on: a crash of the database may lose what it has accepted"
    yield warning_if(is_volatile, "ledger durability", found, remedy)


def _postgresql_version(facts: Mapping[str, str], shown: str) -> Finding:
    found = f"PostgreSQL {facts['server_version']}, {shown}"
    is_old = int(facts["server_version_num"]) // 10_000 < OLDEST_POSTGRESQL
    remedy = f"upgrade it to PostgreSQL {OLDEST_POSTGRESQL} or newer"
    return warning_if(is_old, "ledger", found, remedy)


def _clock(database: Database) -> Finding:
    sent_at = time()
    there = database.read(lambda c: c.execute(select(now_us())).scalar_one()) / 1e6
    skew = abs(there - (sent_at + time()) / 2)
    remedy = "set both clocks by NTP: times are the database's"
    is_skewed = skew > MAX_SKEW.total_seconds()
    return warning_if(is_skewed, "ledger clock", f"{skew:.1f} s from this host's", remedy)


def _schema(database: Database) -> Finding:
    found = database.read(standing)
    minimum = found.minimum or found.revision
    words = f"ledger {found.revision}, code {REVISION}, minimum {minimum}"
    if found.minimum is None:
        # Created before upgrades noted the minimum: no other record of it exists.
        return warning("ledger schema", f"{words}, which is not noted", _UPGRADE)
    return fine("ledger schema", words)


def _signing_key(ledger: SqlLedger) -> Finding:
    records = ledger.key_records()
    if not records:
        return failure("signing key", "none, so nothing can be offered", _UPGRADE)
    days = records[0].age / timedelta(days=1)
    found = f"{records[0].kid} signs and is {days:.1f} days old"
    ending = [f"{each.kid} until {each.ends_at:%Y-%m-%d %H:%M}" for each in records if each.ends_at]
    return fine("signing key", "; accepted: ".join([found, *filter(None, [", ".join(ending)])]))


def _for_people(ledger: SqlLedger) -> Iterator[Finding]:
    """Report what waits for a person: what is held, what has failed, what is paused."""
    counts = ledger.counts()
    held, dead = counts.get(JobState.HELD, 0), len(ledger.dead_letters(DeadLetters(limit=MOST)))
    if held:
        remedy = "failsoft jobs list --state held, then failsoft jobs resolve ID"
        yield warning("held jobs", f"{held} wait for a person", remedy)
    if dead:
        count = f"{dead} or more" if dead == MOST else str(dead)
        remedy = "failsoft jobs list --state failed, then failsoft jobs retry ID"
        yield warning("dead letters", f"{count}, not tried again", remedy)
    for pause in ledger.pauses():
        yield warning("paused", str(pause), f"failsoft {pause.kind}s resume {pause.name}")
    for engine in ledger.disabled_engines():
        yield warning("engine disabled", str(engine), f"failsoft engines enable {engine.name}")
    for rule in ledger.routes():
        for trip in rule.trips:
            found = f"the share of {trip.engine} by the {rule}: {trip.reason}"
            yield warning("route", found, rule.command())
    yield from _outbox(ledger)
    if not (held or dead):
        yield fine("waiting for people", "no job")


def _outbox(ledger: SqlLedger) -> Iterator[Finding]:
    """Report records that should have been published by now."""
    for load in ledger.outbox_load():
        found = f"{load.waiting} records for {load.engine}, the oldest for {load.oldest}"
        if load.refused:
            remedy = "create what is missing, or correct it; each is tried again by itself"
            yield warning("outbox", f"{found}; {load.refused} refused: {load.error}", remedy)
        elif load.oldest > OUTBOX_PATIENCE:
            yield warning("outbox", found, f"run `failsoft worker {load.engine} --bridge`")


def _wholeness(settings: Settings, database: Database) -> Iterator[Finding]:
    whole = look_at_wholeness(settings, database)
    for stray in whole.strays:
        found = f"process {stray.pid} writes to what was {stray.path}, and is another file"
        yield failure("ledger file in use", found, REMEDY)
    if whole.lost:
        some = ", ".join(each.job_id for each in whole.lost[:3])
        found = f"{len(whole.lost)} messages whose job is not in the ledger: {some}"
        yield failure("accepted jobs", found, LOST_REMEDY)
    elif whole.unexplained:
        found = f"{whole.unexplained} messages name jobs that are gone and may have been pruned"
        yield fine("accepted jobs", found)
    else:
        yield fine("accepted jobs", "none is missing, as far as the queues can be read")


def _queues(database: Database) -> Finding:
    unknown = sorted(set(open_queues(database)) - declared_queues().keys())
    if unknown:
        remedy = "name the module that declares them in FAILSOFT_JOBS"
        return warning("queues", f"jobs wait in {', '.join(unknown)}, not declared here", remedy)
    return fine("queues", ", ".join(declared_queues()))
