"""A run has the engines that it is given, their servers, and no misfortune of another's."""

from pathlib import Path
from random import Random

import click
import pytest

from failsoft.dispatcher.plugins.discovery import installed, plugin
from tests.chaos.faults.brokers.all import FAULTS, broker_faults
from tests.chaos.plan import Plan
from tests.chaos.system.brokers import BROKERS, DEFAULT_ENGINES, SERVERLESS, Engines
from tests.chaos.system.servers import Servers
from tests.chaos.system.topology import Topology
from tests.chaos.workload.random_requests import request

LISTS = [DEFAULT_ENGINES, ("rq", "kafka", "ledger"), ("nats", "dramatiq")]
#: How a fault begins that is of an engine's server.
LANES = {"rq": "valkey", "dramatiq": "rabbitmq", "kafka": "kafka", "nats": "nats"}


def read(text: str) -> tuple[str, ...]:
    return Engines().convert(text, None, None)


def test_a_list_of_engines_keeps_its_order() -> None:
    assert read("nats, ledger,rq") == ("nats", "ledger", "rq")


@pytest.mark.parametrize("text", ["", "rq", "rq,rq", "rq,typo", "rq,memory"])
def test_a_list_that_no_run_can_have_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="expected"):
        read(text)


def test_every_server_has_its_faults() -> None:
    assert FAULTS.keys() == BROKERS.keys() == LANES.keys()
    assert {*BROKERS, *SERVERLESS} <= {
        each for each in installed() if not plugin(each).is_for_tests
    }


@pytest.mark.parametrize("engines", LISTS, ids=",".join)
def test_a_run_has_the_servers_and_the_faults_of_its_engines(
    tmp_path: Path, engines: tuple[str, ...]
) -> None:
    servers = Servers(tmp_path, "sqlite", engines)

    lanes = {each.lane for each in broker_faults(servers.brokers)}

    assert lanes == {LANES[each] for each in engines if each in LANES}


@pytest.mark.parametrize("engines", LISTS, ids=",".join)
def test_workers_of_every_engine_are_killed_frozen_and_cut_off(
    tmp_path: Path, engines: tuple[str, ...]
) -> None:
    servers = Servers(tmp_path, "sqlite", engines)
    servers.ledger_url = f"sqlite:///{tmp_path / 'ledger.db'}"

    with Topology(servers, "seed", 1, engines) as topology:
        links = {tuple(sorted(actor.links)) for actor in topology.actors}
        roles = {actor.role for actor in topology.actors}
        environment = topology.of_role(engines[0])[0].environment

    assert roles == {"dispatcher", *engines, "maintenance"}
    assert links == {tuple(sorted(LANES[each] for each in engines if each in LANES))}
    assert environment["FAILSOFT_ENGINES"] == ",".join(engines)


@pytest.mark.parametrize("engines", LISTS, ids=",".join)
def test_some_requests_are_for_some_engines_only_and_for_none_that_the_run_has_not(
    engines: tuple[str, ...],
) -> None:
    made = [request(Random(seed), "label", engines) for seed in range(1500)]

    pinned = {each.options.get("engines", ()) for each in made if hasattr(each, "options")}

    assert {(each,) for each in engines[1:]} <= pinned
    assert {name for each in pinned for name in each} == set(engines)


def test_the_name_of_an_outcome_says_which_engines_it_is_of_unless_they_are_the_usual() -> None:
    assert Plan(seed="a").name == "postgresql-a"
    assert Plan(seed="a", engines=("nats", "dramatiq")).name == "postgresql-nats-dramatiq-a"
