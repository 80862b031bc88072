"""gunicorn forks uvicorn's workers after it has loaded an app that had dispatched."""

from contextlib import closing

from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.upgrade.run import upgrade
from failsoft.ledger.verify import verify
from tests.deployments.deployment import ROOT, installed_command
from tests.docs.test_frameworks import answer, answers
from tests.servers.processes import PATIENCE, Processes, free_port, wait_until


def test_connections_are_left_to_the_parent(processes: Processes, ledger_url: str) -> None:
    with closing(Database(ledger_url)) as database:
        upgrade(database)
        database.close()
        port = free_port()
        server = processes.start(
            installed_command("gunicorn"),
            *("--preload", "--workers", "2", "--bind", f"127.0.0.1:{port}"),
            *("--worker-class", "uvicorn_worker.UvicornWorker", "--log-level", "error"),
            "tests.contrib.apps.preloaded:app",
            env={
                "PYTHONPATH": str(ROOT),
                "FAILSOFT_LEDGER_URL": ledger_url,
                "FAILSOFT_ENGINES": "memory",
            },
        )
        wait_until(lambda: answers(server, port), PATIENCE, "gunicorn answers")

        found = []
        while len({each["pid"] for each in found}) < 2 and len(found) < 300:
            status, body = answer(port, "POST", "/")
            assert status == 200, server.tail
            assert isinstance(body, dict)
            found.append(body)
        server.terminate()

        assert len({each["pid"] for each in found}) == 2
        jobs = {each.id for each in SqlLedger(database).list_jobs(limit=1000)}
        assert jobs == {"of-the-master", *(each["job"] for each in found)}
        assert not [each for checked in verify(database) for each in checked.violations]
        if not database.is_sqlite:
            own = {each["pid"]: each["session"] for each in found}
            masters = {each["master"] for each in found}
            assert len({*own.values(), *masters}) == 3
