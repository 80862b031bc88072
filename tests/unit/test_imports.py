"""What a program, the command line and a supervisor may not import: it would cost each start."""

import subprocess
import sys

import pytest

import failsoft.api
import failsoft.dispatcher
import failsoft.job_engine

#: Each takes tens of milliseconds to import, or several MB.
HEAVY = (
    *("pydantic", "pydantic_settings", "sqlalchemy", "alembic", "psycopg", "structlog", "rich"),
    *("click", "httpx", "asyncio", "tenacity", "importlib.metadata", "rq", "redis", "dramatiq"),
    *("http.server", "failsoft.worker.configuration"),
    *("pika", "failsoft.ledger", "failsoft.dispatcher.dispatcher", "failsoft.job_engine.executor"),
)
#: A program, and what of the above it needs.
PROGRAMS = {
    "failsoft --help": (
        (
            "import sys; sys.argv = ['failsoft', '--help']\n"
            "from failsoft.worker.cli import main\n"
            "try: main()\n"
            "except SystemExit: pass"
        ),
        {"click"},
    ),
    "import of the API": ("import failsoft.api", set[str]()),
    "import of dispatch_job": ("from failsoft.api import dispatch_job", set[str]()),
    "import of the dispatcher": ("import failsoft.dispatcher", set[str]()),
    "declaration of a job": (
        (
            "from pydantic import BaseModel\n"
            "from failsoft.api import declare_job, dispatch_job\n"
            "class Payload(BaseModel): number: int\n"
            "declare_job('declared', payload=Payload)"
        ),
        {"pydantic", "tenacity", "importlib.metadata"},
    ),
    "supervisor": ("import failsoft.worker.supervision.program", set[str]()),
    # The client for HTTP is for jobs that run, and the rest for the command line.
    "worker process": (
        "import failsoft.worker.process",
        set(HEAVY) - {"httpx", "alembic", "rq", "redis", "dramatiq", "pika", "http.server"},
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_imports_only_what_it_needs(name: str) -> None:
    program, needed = PROGRAMS[name]
    show = "\nimport sys; print('\\n' + ' '.join(sys.modules))"

    done = subprocess.run(
        [sys.executable, "-c", program + show], capture_output=True, text=True, check=True
    )

    assert (set(done.stdout.splitlines()[-1].split()) & set(HEAVY)) - needed == set()


@pytest.mark.parametrize("facade", [failsoft.api, failsoft.dispatcher, failsoft.job_engine])
def test_every_name_of_a_facade_is_found(facade: object) -> None:
    missing = [name for name in vars(facade)["__all__"] if not hasattr(facade, name)]

    assert missing == []


def test_a_name_that_a_facade_has_not_is_refused_as_any_module_refuses_it() -> None:
    with pytest.raises(AttributeError, match=r"module 'failsoft\.api' has no attribute 'dispach'"):
        _ = failsoft.api.dispach  # type: ignore[attr-defined]
