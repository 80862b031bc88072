"""Every test here runs in memory and, unchanged, on servers and with worker processes."""

import pytest

#: These run on servers in every run; the others are `long`.
QUICK = frozenset(
    {
        "test_a_job_goes_on_on_the_other_engine",
        "test_a_death_within_a_step_repeats_its_body",
        "test_a_job_sleeps_for_an_hour",
        "test_what_a_job_raises_is_raised_with_its_step",
        "test_a_message_that_comes_again_is_void",
    }
)
#: These run on PostgreSQL, the others on SQLite.
ON_POSTGRESQL = frozenset(
    {
        "test_a_job_goes_on_on_the_other_engine",
        "test_a_schedule_fires_while_time_passes",
        "test_an_event_wakes_a_job",
        "test_a_worker_is_killed_at_a_crash_point",
    }
)
#: These run on RabbitMQ as the second engine, too.
ON_RABBITMQ = frozenset(
    {
        "test_a_job_goes_on_on_the_other_engine",
        "test_a_job_outlives_its_engine",
        "test_no_engine_takes_a_job_until_one_is_healed",
        "test_an_engine_that_is_back_gets_jobs_again",
    }
)


#: The engines of those tests.
RABBITMQ = ("rq", "dramatiq-rabbitmq")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    name = metafunc.function.__name__
    ledger = "postgresql" if name in ON_POSTGRESQL else "sqlite"
    marks = [pytest.mark.failsoft(mode="real", ledger=ledger)]
    if name not in QUICK:
        marks.append(pytest.mark.long)
    where = [
        pytest.param("dramatiq", id="memory"),
        pytest.param("dramatiq", id="real", marks=marks),
    ]
    if name in ON_RABBITMQ:
        on_rabbitmq = pytest.mark.failsoft(mode="real", engines=RABBITMQ)
        where.append(
            pytest.param(RABBITMQ[1], id="rabbitmq", marks=[on_rabbitmq, pytest.mark.long])
        )
    metafunc.fixturenames.append("second")
    metafunc.parametrize("second", where)
