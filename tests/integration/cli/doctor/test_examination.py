"""What the doctor's checks find on real servers that are not as they should be."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from failsoft.job_engine.errors import ConfigurationError
from failsoft.job_engine.records.job import WorkerRecord
from failsoft.job_engine.records.new_job import NewJob
from failsoft.job_engine.values.findings import Finding, Level
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.upgrade.run import upgrade
from failsoft.testing.engine_suite.stopwatch import Stopwatch
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.doctor.checks import exit_status
from failsoft.worker.doctor.retention_checks import look_at_retention
from failsoft.worker.doctor.run import examine
from failsoft.worker.exit_codes import CONFIG, FAILURE, OK, UNAVAILABLE
from tests.servers.postgresql.postgres import Postgres
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.valkey import Valkey

#: What a check may take where its time is what a test is about.
LIMIT = timedelta(seconds=2)
#: What it may take where a test is about what it finds, on a machine with other work, too.
AMPLE = timedelta(seconds=30)
DEAD_REDIS = "redis://127.0.0.1:1/0"


class Patient:
    """Settings to examine, and what was found."""

    def __init__(self, **settings: str) -> None:
        self.settings: dict[str, str] = settings
        self.findings: dict[str, Finding] = {}

    def examine(self, limit: timedelta = AMPLE, **settings: str) -> int:
        """Look at everything, at each thing for `limit`, and return the exit status."""
        found = examine(load_settings(**self.settings, **settings), limit)
        self.findings = {each.check: each for each in found}
        return exit_status(found)

    def level(self, check: str) -> Level:
        return self.findings[check].level

    def found(self, check: str) -> str:
        return self.findings[check].found


@pytest.fixture
def patient(clean_environment: Path, sqlite_url: str, second_valkey: Valkey) -> Patient:
    """Everything well, but nothing for RQ yet."""
    database = Database(sqlite_url)
    upgrade(database)
    database.close()
    return Patient(ledger_url=sqlite_url, amqp_url=second_valkey.url)


@pytest.mark.fault("F08")
def test_a_server_that_evicts_keys_fails(patient: Patient, valkey: Valkey) -> None:
    with valkey.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")

    status = patient.examine(redis_url=valkey.url)

    assert (status, patient.level("rq eviction")) == (FAILURE, Level.FAILURE)
    assert "noeviction" in patient.findings["rq eviction"].remedy


@pytest.mark.fault("F08")
def test_a_replica_fails(patient: Patient, valkey: Valkey, second_valkey: Valkey) -> None:
    with valkey.client() as client:
        client.replicaof("127.0.0.1", str(second_valkey.port))

    status = patient.examine(redis_url=valkey.url)

    assert (status, patient.found("rq role")) == (FAILURE, "slave, which takes no writes")
    assert patient.level("rq write") is Level.FAILURE


def test_a_cluster_fails(patient: Patient, tmp_path: Path) -> None:
    with Valkey(tmp_path / "cluster", config={"cluster-enabled": "yes"}) as cluster:
        status = patient.examine(redis_url=cluster.url)

    assert (status, patient.level("rq role")) == (CONFIG, Level.FAILURE)
    assert "Redis Cluster" in patient.found("rq role")


def test_a_server_without_persistence_is_worth_a_warning(patient: Patient, valkey: Valkey) -> None:
    status = patient.examine(redis_url=valkey.url)

    assert (status, patient.level("rq persistence")) == (OK, Level.WARNING)


def test_one_server_for_both_engines_is_worth_a_warning(
    patient: Patient, second_valkey: Valkey
) -> None:
    status = patient.examine(redis_url=second_valkey.url)

    assert (status, patient.found("dramatiq server")) == (OK, "is that of rq, too")


def test_a_frozen_server_costs_no_more_than_the_limit(patient: Patient, valkey: Valkey) -> None:
    valkey.freeze()

    with Stopwatch() as watch:
        status = patient.examine(LIMIT, redis_url=valkey.url)

    assert (status, patient.level("rq")) == (UNAVAILABLE, Level.FAILURE)
    assert watch.elapsed < 2 * LIMIT + timedelta(seconds=1)


def test_servers_that_answer_late_are_waited_for_up_to_the_limit(
    patient: Patient, valkey: Valkey, second_valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAILSOFT_CELERY_BROKER_URL", second_valkey.url)
    patient.settings["engines"] = "rq,dramatiq,celery"
    for server in (valkey, second_valkey):
        with server.client() as client:
            client.config_set("appendonly", "yes")
            client.client_pause(2 * 1000, all=True)

    status = patient.examine(redis_url=valkey.url)

    assert status == OK, patient.findings
    assert patient.found("rq write") == "wrote what an offer writes"
    assert patient.found("dramatiq write") == "wrote what an offer writes"
    assert patient.found("celery write") == "wrote what an offer writes"


def test_rabbitmq_takes_a_message_with_a_confirm(patient: Patient, amqp_url: str) -> None:
    patient.settings["amqp_url"] = amqp_url

    status = patient.examine(use_rq="false")

    assert status == OK
    assert patient.found("dramatiq").endswith("published with a confirm")
    assert "guest:***@" in patient.found("dramatiq")


def test_an_alarm_of_rabbitmq_fails(patient: Patient, rabbitmq: RabbitMQ, amqp_url: str) -> None:
    patient.settings["amqp_url"] = amqp_url
    rabbitmq.memory_alarm(on=True)

    status = patient.examine(use_rq="false")

    assert (status, patient.level("dramatiq")) == (FAILURE, Level.FAILURE)
    assert "an alarm is up" in patient.found("dramatiq")


def test_a_guest_without_tls_far_away_is_worth_a_warning(patient: Patient) -> None:
    # An address that is reserved for documentation, which no host answers.
    patient.settings["amqp_url"] = "amqp://guest:guest@192.0.2.1:5672/%2F"

    status = patient.examine(LIMIT, use_rq="false")

    assert (status, patient.level("dramatiq")) == (UNAVAILABLE, Level.FAILURE)
    assert patient.found("dramatiq login") == "user guest and no TLS towards 192.0.2.1"


@pytest.fixture
def on_postgres(patient: Patient, postgres_url: str) -> Iterator[Patient]:
    database = Database(postgres_url)
    upgrade(database)
    patient.settings["ledger_url"] = postgres_url
    yield patient
    database.close()


def test_a_postgresql_that_may_lose_commits_is_worth_a_warning(on_postgres: Patient) -> None:
    status = on_postgres.examine(use_rq="false")

    assert (status, on_postgres.level("ledger durability")) == (OK, Level.WARNING)
    assert on_postgres.found("ledger durability") == "synchronous_commit=on, fsync=off"
    assert on_postgres.found("ledger").startswith("PostgreSQL ")
    assert on_postgres.level("ledger clock") is Level.OK


@pytest.mark.fault("F50")
def test_a_postgresql_with_few_connections_left_is_worth_a_warning(
    on_postgres: Patient, postgres_url: str
) -> None:
    assert on_postgres.examine(use_rq="false") == OK
    assert on_postgres.level("ledger connections") is Level.OK
    name = postgres_url.rpartition("/")[2]
    with closing(Database(postgres_url)) as database:
        ledger = SqlLedger(database)
        ledger.beat(WorkerRecord("boot", "rq", "default", "here", 1, 16), timedelta(minutes=1))
        database.write(lambda c: c.exec_driver_sql(f"ALTER DATABASE {name} CONNECTION LIMIT 20"))

    assert on_postgres.examine(use_rq="false") == OK

    assert on_postgres.level("ledger connections") is Level.WARNING
    assert on_postgres.found("ledger connections").endswith("live workers take up to 22")
    assert on_postgres.examine(use_rq="false", ledger_pool="8") == OK
    assert on_postgres.level("ledger connections") is Level.OK


def test_a_postgresql_that_takes_no_writes_fails(on_postgres: Patient, postgres_url: str) -> None:
    name = postgres_url.rpartition("/")[2]
    database = Database(postgres_url)
    database.write(
        lambda c: c.exec_driver_sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    )
    database.close()

    status = on_postgres.examine(use_rq="false")

    assert (status, on_postgres.found("ledger role")) == (FAILURE, "takes no writes")


def test_a_postgresql_that_hangs_costs_no_more_than_the_limit(
    on_postgres: Patient, postgres: Postgres
) -> None:
    postgres.freeze()

    with Stopwatch() as watch:
        status = on_postgres.examine(LIMIT, use_rq="false")

    assert (status, on_postgres.level("ledger")) == (UNAVAILABLE, Level.FAILURE)
    assert watch.elapsed < 2 * LIMIT + timedelta(seconds=1)


def test_an_engine_that_is_not_installed_is_refused_with_the_settings(patient: Patient) -> None:
    with pytest.raises(ConfigurationError, match="got pigeon; check FAILSOFT_ENGINES"):
        patient.examine(engines="dramatiq,pigeon")


def test_another_engine_is_probed(patient: Patient) -> None:
    del patient.settings["amqp_url"]

    patient.examine(engines="memory")

    assert patient.level("memory") is Level.OK


@pytest.mark.fault("F40")
def test_engines_and_queues_of_others_and_jobs_that_no_worker_takes_are_worth_a_warning(
    patient: Patient, valkey: Valkey
) -> None:
    with closing(Database(patient.settings["ledger_url"])) as database:
        ledger = SqlLedger(database)
        for boot, engine, queue in (("1", "kafka", "default"), ("2", "rq", "reports")):
            ledger.beat(WorkerRecord(boot, engine, queue, "host", 1, 8), timedelta(hours=1))
        for n, engines in enumerate([("kafka",), ("nats", "sqs"), ("nats", "sqs"), ()]):
            new = NewJob(f"job-{n}", "send_mail", "default", "{}", "sha", engines=engines)
            ledger.record_job(new, None)

    patient.examine(redis_url=valkey.url)

    assert patient.level("engine kafka") is patient.level("queue reports") is Level.WARNING
    assert "FAILSOFT_ENGINES" in patient.findings["engine kafka"].remedy
    assert patient.found("pinned jobs").startswith("2 in default may run on nats or sqs only")
    assert patient.level("pinned jobs") is Level.WARNING

    patient.examine(redis_url=valkey.url, use_rq="false")

    assert "USE_RQ turns it off here" in patient.found("engine rq")


@pytest.mark.fault("F39")
@pytest.mark.parametrize("prune", ["off", "1h"])
def test_ended_jobs_that_nothing_prunes_are_worth_a_warning(patient: Patient, prune: str) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=30)
    with closing(Database(patient.settings["ledger_url"])) as database:
        ledger = SqlLedger(database)
        for n, name in enumerate(("send_email", "send_email", "of_others")):
            ledger.record_job(NewJob(f"job-{n}", name, "default", "{}", "sha"), None)
            ledger.cancel(f"job-{n}", "a person")
        database.write(lambda c: c.execute(jobs.update().values(finished_at=long_ago)))

    settings = load_settings(**patient.settings, prune=prune)
    found = {each.check: each for each in look_at_retention(settings)}

    assert {each.level for each in found.values()} == {Level.WARNING}
    assert found["retention"].found.startswith("2 ended jobs are beyond their retention")
    assert "failsoft ledger prune" in found["retention"].remedy
    assert "of_others" in found["retention unknown"].found
