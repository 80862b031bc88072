"""What a user installs: the built wheels, in environments with nothing else in them."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.integration.test_readme import PRINTED, PROGRAM
from tests.servers.processes import PATIENCE, Processes, wait_until

ROOT = Path(__file__).parents[2]
ENGINES = sorted(path.parent.name for path in ROOT.glob("engines/*/pyproject.toml"))
CONTRIB = tuple(
    sorted(
        path.parent.name.removeprefix("contrib_") for path in ROOT.glob("packages/contrib_*/*.toml")
    )
)
#: What `failsoft` installs.
MEMBERS = (
    *("job_engine", "testing", "queue", "ledger", "dispatcher", "api", "engine_api", "worker"),
    *("engines.rq", "engines.dramatiq", "engines.ledger"),
)
OF_ENGINES = ("rq", "redis", "dramatiq", "pika", "celery", "confluent_kafka", "nats", "uvicorn")
#: Those of them that an engine may bring.
LIBRARIES = {
    "rq": {"rq", "redis"},
    "dramatiq": {"dramatiq", "pika", "redis", "rq"},
    "celery": {"celery", "redis", "rq"},
    "inngest": {"uvicorn"},
    "kafka": {"confluent_kafka"},
    "nats": {"nats"},
}
FOREIGN_TO_THE_CORE = (*OF_ENGINES, "sqlalchemy", "alembic", "psycopg")

#: A regular package of a stranger's on the index, whose name this project had.
STRANGER = "under" + "study"

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]


def uv(*arguments: str, cwd: Path = ROOT) -> str:
    command = [sys.executable, "-m", "uv", *arguments]
    found = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert found.returncode == 0, f"uv {arguments[0]} failed:\n{found.stderr}"
    return found.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    uv("build", "--all-packages", "--wheel", "--quiet", "--out-dir", str(folder))
    return folder


def environment_with(
    requirement: str, wheels: Path, folder: Path, *more: str, interpreter: str = sys.executable
) -> Path:
    """Return the python of a new environment in which only the requirements are installed."""
    uv("venv", "--quiet", "--python", interpreter, str(folder))
    python = folder / "bin" / "python"
    found = ("--quiet", "--python", str(python), "--find-links", str(wheels), requirement, *more)
    uv("pip", "install", *found)
    return python


def run(python: Path, code: str, cwd: Path) -> str:
    command = [str(python), "-I", "-c", code]
    found = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_the_wheels_install_into_a_clean_environment(wheels: Path, tmp_path: Path) -> None:
    python = environment_with("failsoft[testing]", wheels, tmp_path / "environment")

    modules = ", ".join(f"failsoft.{member}" for member in MEMBERS)
    typed = run(
        python,
        f"import {modules}, queue, pathlib\n"
        f"for m in ({modules}):\n"
        "    print((pathlib.Path(m.__file__).parent / 'py.typed').exists())",
        tmp_path,
    )

    assert typed.split() == ["True"] * len(MEMBERS)


@pytest.mark.parametrize("kind", ENGINES)
def test_an_engine_is_installed_without_any_other(kind: str, wheels: Path, tmp_path: Path) -> None:
    worker = str(next(wheels.glob("failsoft_worker-*.whl")))
    python = environment_with(f"failsoft-engine-{kind}", wheels, tmp_path / "environment", worker)

    found = run(
        python,
        "import importlib, importlib.util as util, pathlib, sys\n"
        f"typed = pathlib.Path(importlib.import_module('failsoft.engines.{kind}').__file__)\n"
        "print((typed.parent / 'py.typed').exists())\n"
        f"print(*[n for n in {ENGINES} if util.find_spec(f'failsoft.engines.{{n}}')])\n"
        f"print(*[n for n in {OF_ENGINES} if util.find_spec(n)])",
        tmp_path,
    )
    listed = subprocess.run(
        [str(python.parent / "failsoft"), "engines", "list", "--json"],
        cwd=tmp_path,
        env={"FAILSOFT_ENGINES": kind},
        capture_output=True,
        text=True,
        check=False,
    )

    typed, engines, libraries = found.splitlines()
    assert (typed, engines) == ("True", kind)
    assert set(libraries.split()) <= LIBRARIES.get(kind, set())
    assert listed.returncode == 0, listed.stderr
    (row,) = json.loads(listed.stdout)
    assert (row["engine"], row["kind"], row["place"]) == (kind, kind, 1)
    assert row["distribution"].startswith(f"failsoft-engine-{kind} ")


@pytest.mark.parametrize("kind", CONTRIB)
def test_what_is_for_a_framework_is_installed_without_worker_ledger_and_engines(
    kind: str, wheels: Path, tmp_path: Path
) -> None:
    python = environment_with(f"failsoft-contrib-{kind}", wheels, tmp_path / "environment")

    found = run(
        python,
        "import importlib, importlib.util as util, pathlib\n"
        f"module = importlib.import_module('failsoft.contrib.{kind}')\n"
        "print((pathlib.Path(module.__file__).parent / 'py.typed').exists())\n"
        f"print(*[n for n in {FOREIGN_TO_THE_CORE} if util.find_spec(n)])\n"
        f"print(*[n for n in {CONTRIB} if util.find_spec(f'failsoft.contrib.{{n}}')])\n"
        "print(*[n for n in ('worker', 'ledger') if util.find_spec(f'failsoft.{n}')])",
        tmp_path,
    )

    assert found.splitlines() == ["True", "", kind, ""]


def test_no_wheel_has_a_file_in_a_namespace(wheels: Path) -> None:
    namespaces = ("failsoft/", "failsoft/contrib/", "failsoft/engines/")
    found = [
        f"{wheel.name}: {name}"
        for wheel in wheels.glob("*.whl")
        for name in zipfile.ZipFile(wheel).namelist()
        if name.rpartition("/")[0] + "/" in namespaces
    ]

    assert found == []


def test_the_installed_command_creates_a_ledger(wheels: Path, tmp_path: Path) -> None:
    python = environment_with("failsoft", wheels, tmp_path / "environment")

    command = [str(python.parent / "failsoft"), "ledger", "upgrade", "--json"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert found.returncode == 0, found.stderr
    assert (tmp_path / ".failsoft" / "ledger.db").exists()


def test_the_core_is_installed_without_any_engine_or_database(wheels: Path, tmp_path: Path) -> None:
    python = environment_with("failsoft-testing", wheels, tmp_path / "environment")

    present = run(
        python,
        "import importlib.util, failsoft.job_engine, failsoft.testing\n"
        "[getattr(failsoft.testing, name) for name in failsoft.testing.__all__]\n"
        f"print([n for n in {FOREIGN_TO_THE_CORE} if importlib.util.find_spec(n)])",
        tmp_path,
    )

    assert present.strip() == "[]"


def wheel_of(name: str, folder: Path) -> Path:
    """Make the wheel of a regular package that has nothing in it."""
    wheel = folder / f"{name}-9.9.9-py3-none-any.whl"
    info = f"{name}-9.9.9.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{name}/__init__.py", "")
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.9.9\n"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def test_the_readmes_program_runs_beside_a_package_of_the_old_name(
    wheels: Path, tmp_path: Path, processes: Processes
) -> None:
    python = environment_with("failsoft[embedded]", wheels, tmp_path / "environment")
    stranger = wheel_of(STRANGER, tmp_path)
    uv("pip", "install", "--quiet", "--python", str(python), str(stranger))
    assert PROGRAM is not None
    (tmp_path / "app.py").write_text(PROGRAM.group(1))

    command = f"cd {tmp_path} && exec {python.parent / 'failsoft'} dev --no-reload"
    dev = processes.start("sh", "-c", command, env={"FAILSOFT_JOBS": "app"})
    wait_until(lambda: "ready" in dev.output, PATIENCE, "failsoft dev to be ready")
    printed = subprocess.run(
        ["sh", "-c", f". .failsoft/env && {python} app.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert printed.stdout.strip() == PRINTED, printed.stderr
    found = run(python, f"import {STRANGER}; print({STRANGER}.__file__)", tmp_path)
    assert Path(found.strip()).is_relative_to(tmp_path / "environment")


def test_fakes_are_not_installed_unless_named(wheels: Path, tmp_path: Path) -> None:
    python = environment_with("failsoft", wheels, tmp_path / "environment")

    found = run(
        python,
        "import importlib.util, failsoft.api\n"
        "from importlib.metadata import entry_points\n"
        "print(importlib.util.find_spec('failsoft.testing'))\n"
        "print(*sorted(entry_points(group='failsoft.engines').names))",
        tmp_path,
    )

    assert found.splitlines() == ["None", "dramatiq ledger rq"]
