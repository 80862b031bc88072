"""Further jobs, for faults that the acceptance tests' own jobs do not bring about."""

import ctypes
import os
from contextlib import suppress
from pathlib import Path

from failsoft.dispatcher import dispatch_job
from failsoft.job_engine import JobContext, job
from failsoft.job_engine.jobs.data_sync.table_sink import Column, TableShape
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.import_tables import SqlTables
from tests.deployments.effect_log import BEGUN, ENDED, note
from tests.jobs.scripted import FOR_EVER, Script, in_thread, step
from tests.servers.processes import wait_until

#: What a worker calls the first step of `renamed`, as a deploy would change it.
FIRST_STEP = "FIRST_STEP"


@job(name="starved", queue="threads")
def starved(script: Script, ctx: JobContext) -> int:
    """Keep the interpreter's lock for `pace` seconds in the first attempt's first step."""
    for number in range(1, script.steps + 1):
        ctx.run(f"step-{number}", hog, script, number, ctx.job_id, ctx.attempt)
    return script.steps


def hog(script: Script, number: int, job_id: str, attempt: int) -> int:
    name = f"step-{number}"
    note(BEGUN, job_id, name, attempt)
    if number == attempt == 1:
        # PyDLL keeps the GIL, so no thread of this process renews anything meanwhile.
        ctypes.PyDLL(None).sleep(int(script.pace))
    note(ENDED, job_id, name, attempt)
    return number


@job(name="once-only", queue="threads")
def once_only(script: Script, ctx: JobContext) -> int:
    """Do the first step again where it was cut off, and the second never."""
    ctx.run("step-1", step, script, 1, ctx.job_id, ctx.attempt)
    ctx.run("step-2", step, script, 2, ctx.job_id, ctx.attempt, once=True)
    return 2


@job(name="renamed", queue="threads")
def renamed(script: Script, ctx: JobContext) -> int:
    """Call the first step what the environment of the worker says."""
    ctx.run(os.environ.get(FIRST_STEP, "step-1"), step, script, 1, ctx.job_id, ctx.attempt)
    ctx.run("step-2", step, script, 2, ctx.job_id, ctx.attempt)
    return 2


def gated(script: Script, ctx: JobContext) -> int:
    """Wait in each step for a gate of its own, in every attempt."""
    for number in range(1, script.steps + 1):
        ctx.run(f"step-{number}", wait_at_gate, script, number, ctx.job_id, ctx.attempt)
    return script.steps


def wait_at_gate(script: Script, number: int, job_id: str, attempt: int) -> int:
    name = f"step-{number}"
    note(BEGUN, job_id, name, attempt)
    wait_until(Path(f"{script.gate}-{number}").exists, FOR_EVER, f"gate {number}")
    note(ENDED, job_id, name, attempt)
    return number


gated_in_thread = job(name="gated-in-thread", queue="threads")(gated)
gated_in_child = job(name="gated-in-child", queue="children")(gated)


def lingering(script: Script, ctx: JobContext) -> int:
    """Wait behind the last step for a gate of each attempt: all that is left is the end."""
    for number in range(1, script.steps + 1):
        ctx.run(f"step-{number}", step, script, number, ctx.job_id, ctx.attempt)
    wait_until(Path(f"{script.gate}-{ctx.attempt}").exists, FOR_EVER, f"gate {ctx.attempt}")
    return script.steps


lingering_in_thread = job(name="lingering-in-thread", queue="threads")(lingering)
lingering_in_child = job(name="lingering-in-child", queue="children")(lingering)


def swallowing(script: Script, ctx: JobContext) -> int:
    """Take every error for its own, and go on."""
    for number in range(1, script.steps + 1):
        with suppress(Exception):
            ctx.run(f"step-{number}", step, script, number, ctx.job_id, ctx.attempt)
    return script.steps


swallowing_in_thread = job(name="swallowing-in-thread", queue="threads")(swallowing)
swallowing_in_child = job(name="swallowing-in-child", queue="children")(swallowing)


@job(name="busy-with-the-ledger", queue="threads")
def busy_with_the_ledger(script: Script, ctx: JobContext) -> int:
    """Dispatch a job and import a row into the ledger's own file, in turn."""
    for number in range(1, script.steps + 1):
        ctx.run(f"dispatch-{number}", hand_over, f"{ctx.job_id}-{number}")
        ctx.run(f"step-{number}", step, script, number, ctx.job_id, ctx.attempt)
        ctx.run(f"import-{number}", take_in, f"{ctx.job_id}-{number}")
    return script.steps


def hand_over(job_id: str) -> str:
    return dispatch_job(in_thread, Script(), job_id=job_id).id


def take_in(key: str) -> int:
    tables = SqlTables(load_settings().ledger_url)
    shape = TableShape("imported", (Column("key", "str"),))
    tables.ensure(shape)
    try:
        return tables.write_batch(shape, key, [{"key": key}])
    finally:
        tables.close()
