"""A worker of the engine `ledger` that claims offers and goes on for ever: `LEDGER_URL`."""

import sys
import threading
from collections.abc import Callable

from failsoft.dispatcher.plugins.discovery import plugin
from failsoft.job_engine.records.message import Message
from failsoft.ledger import Database, SqlLedger
from failsoft.worker.engine_sites import LedgerOffers
from tests.contract.engines.engine_setups import post_of, site_of
from tests.contract.engines.ledger_bench import NAME, SuiteKeys, ticket


def main(url: str) -> None:
    ledger, offers = SqlLedger(Database(url)), LedgerOffers()
    offers.bind(ledger, SuiteKeys())

    def process(wire: object, claimed: Callable[[], object] = lambda: None) -> None:
        ledger.claim(ticket(Message.from_wire(wire)))
        claimed()
        print("claimed", flush=True)  # noqa: T201 - what the test waits for
        threading.Event().wait()

    found = plugin(NAME)
    worker = found.build_worker(site_of(found, {}, offers), post_of(process, print))
    worker.run(threading.Event())


if __name__ == "__main__":
    main(*sys.argv[1:])
