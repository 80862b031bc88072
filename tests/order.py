"""In which order tests run, and in which worker of a parallel run."""

from collections.abc import Mapping, Sequence
from itertools import groupby, islice
from types import MappingProxyType

import pytest

#: About how many seconds the files take that take long, on two cores. The figures decide how
#: evenly a run is divided, and nothing else.
SECONDS: Mapping[str, int] = MappingProxyType(
    {
        "tests/contract/engines/test_engines.py": 270,
        "tests/contract/ledgers/test_ledgers.py": 270,
        "tests/contract/engines/test_kafka.py": 240,
        "tests/contract/engines/test_inngest.py": 155,
        "tests/integration/cli/workers/test_health.py": 145,
        "tests/contract/engines/test_ledger_engine.py": 140,
        "tests/crash_points/test_matrix.py": 115,
        "tests/integration/cli/workers/test_worker.py": 110,
        "tests/docs/test_guide.py": 110,
        "tests/integration/cli/test_dev.py": 100,
        "tests/docs/test_frameworks.py": 100,
        "tests/testkit/both/test_both.py": 90,
        "tests/integration/acceptance/test_workers_lost.py": 85,
        "tests/stateful/faults/test_troubles.py": 85,
        "tests/contract/engines/test_celery.py": 85,
        "tests/chaos/test_chaos.py": 80,
        "tests/integration/test_distribution.py": 80,
        "tests/integration/ledger_copy/test_copy.py": 80,
        "tests/contract/engines/test_nats.py": 80,
        "tests/takeovers/test_takeovers.py": 75,
        "tests/integration/sharding/test_workers.py": 75,
        "tests/faults/postgresql/test_promoted_replicas.py": 75,
        "tests/integration/acceptance/test_redis_lost.py": 70,
        "tests/integration/scaffold/test_new.py": 70,
        "tests/contract/suite/test_mutant_engines.py": 65,
        "tests/docs/test_scale.py": 60,
        "tests/simulation/test_simulation.py": 60,
        "tests/integration/outside/test_outside_engine.py": 60,
        "tests/console/test_too_much.py": 60,
        "tests/integration/acceptance/test_inngest_fallback.py": 60,
        "tests/stateful/faults/test_terminated.py": 60,
        "tests/faults/processes/test_workers_in_trouble.py": 60,
        "tests/integration/kafka/test_bridge.py": 60,
        "tests/faults/processes/test_long_outages.py": 55,
        "tests/testkit/test_plugin.py": 55,
        "tests/console/test_hostile_text.py": 50,
        "tests/integration/cli/test_routes.py": 50,
        "tests/integration/kafka/test_rebalances.py": 50,
        "tests/typing/test_typing.py": 50,
        "tests/otel/test_takeover.py": 45,
        "tests/faults/processes/test_forks.py": 40,
        "tests/model/test_model.py": 40,
        "tests/integration/acceptance/test_celery_applications.py": 40,
        "tests/faults/postgresql/test_silent_postgresql.py": 40,
        "tests/contract/engines/test_file_engine.py": 40,
        "tests/integration/upgrades/test_next_release.py": 40,
        "tests/console/test_routes.py": 40,
        "tests/integration/cli/jobs/test_jobs.py": 40,
        "tests/integration/acceptance/test_failback.py": 40,
        "tests/integration/cli/workers/test_logs.py": 40,
        "tests/integration/demo/test_demo.py": 40,
        "tests/integration/cli/workers/test_lost_brokers.py": 40,
        "tests/faults/brokers/test_two_ledgers.py": 35,
        "tests/integration/cli/jobs/test_control.py": 35,
        "tests/unit/job_engine/records/test_message.py": 35,
        "tests/metrics/test_exact_counters.py": 35,
        "tests/integration/upgrades/test_in_the_way.py": 35,
        "tests/docs/test_how_to.py": 30,
        "tests/integration/acceptance/test_rq_tools.py": 30,
        "tests/console/test_slow_ledger.py": 30,
        "tests/faults/sqlite/test_ledger_file.py": 30,
        "tests/integration/test_readme.py": 30,
        "tests/faults/processes/test_clocks.py": 30,
        "tests/faults/brokers/test_rabbitmq_faults.py": 30,
        "tests/integration/test_verify.py": 30,
        "tests/integration/test_verify_related_jobs.py": 30,
        "tests/console/test_lists.py": 25,
        "tests/integration/processes/test_endings.py": 25,
        "tests/console/test_actions.py": 25,
        "tests/unit/job_engine/values/test_canonical.py": 25,
        "tests/integration/acceptance/test_fatal_jobs.py": 25,
        "tests/integration/security/test_permissions.py": 25,
        "tests/integration/cli/doctor/test_doctor.py": 25,
        "tests/contract/ledgers/test_remembered_keys.py": 25,
        "tests/faults/brokers/test_rotated_keys.py": 25,
        "tests/integration/ledger_copy/test_killed.py": 25,
        "tests/servers/test_servers.py": 25,
        "tests/faults/test_table.py": 25,
        "tests/faults/processes/test_rescuers.py": 25,
        "tests/integration/sharding/test_commands.py": 25,
        "tests/features/timing/test_limits.py": 25,
        "tests/faults/processes/test_killed_workers.py": 20,
        "tests/console/test_ways_in.py": 20,
        "tests/integration/acceptance/test_fallback_lost.py": 20,
        "tests/integration/cli/doctor/test_cluster.py": 20,
        "tests/integration/processes/test_leftovers.py": 20,
        "tests/docs/test_migrations.py": 20,
        "tests/integration/acceptance/test_ledger_outage.py": 20,
        "tests/stateful/test_machine.py": 20,
        "tests/integration/cli/doctor/test_examination.py": 20,
        "tests/crash_points/test_claims_together.py": 20,
        "tests/integration/cli/jobs/test_selection.py": 20,
        "tests/integration/cli/test_engines.py": 20,
        "tests/integration/processes/test_forks.py": 20,
        "tests/features/steps/test_step_timeouts.py": 20,
        "tests/integration/upgrades/test_command.py": 20,
        "tests/adoption/rq/test_drain.py": 20,
        "tests/unit/dispatcher/offering/test_routes.py": 20,
        "tests/otel/test_switches.py": 20,
        "tests/browser/test_outage.py": 20,
        "tests/integration/cli/jobs/test_show.py": 15,
        "tests/adoption/workers/test_carried_on.py": 15,
        "tests/faults/brokers/test_queue_declarations.py": 15,
        "tests/integration/cli/test_closed_resources.py": 15,
        "tests/faults/brokers/test_hostile_sizes.py": 15,
        "tests/integration/test_transactions.py": 15,
        "tests/integration/acceptance/test_once_steps.py": 15,
        "tests/integration/cli/test_notify.py": 15,
        "tests/integration/cli/test_schedules.py": 15,
        "tests/examples/test_examples.py": 15,
        "tests/features/control/test_retention.py": 15,
    }
)


def divided(items: Sequence[pytest.Item], workers: int) -> Sequence[pytest.Item]:
    """Return tests so that each worker has as much to do, its long files first.

    xdist gives each worker as many tests, in a row; who has done them takes others from the end of
    what another one has, where they are short. A file remains in one piece, for what its tests
    share.

    Args:
        items: All that are selected, those of a file in a row.
        workers: How many there are.
    """
    files = {name: list(of) for name, of in groupby(items, _file)}
    long = sorted(SECONDS.keys() & files.keys(), key=lambda name: (-SECONDS[name], name))
    shares: list[list[pytest.Item]] = [[] for _ in range(workers)]
    loads = [0] * workers
    for name in long:
        least = loads.index(min(loads))
        shares[least] += files.pop(name)
        loads[least] += SECONDS[name]
    short = iter([item for of in files.values() for item in of])
    for number in range(workers):
        size = len(items) * (number + 1) // workers - len(items) * number // workers
        shares[number] += islice(short, max(0, size - len(shares[number])))
    return [item for share in shares for item in share] + list(short)


def _file(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]
