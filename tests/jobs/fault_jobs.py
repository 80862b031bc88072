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
from tests.jobs.scripted import FOR_EVER, Act, in_thread, step
from tests.servers.processes import wait_until

#: What a worker calls the first step of `renamed`, as a deploy would change it.
FIRST_STEP = "FIRST_STEP"


@job(name="starved", queue="threads")
def starved(act: Act, ctx: JobContext) -> int:
    """Keep the interpreter's lock for `pace` seconds in the first attempt's first step."""
    for number in range(1, act.steps + 1):
        ctx.run(f"step-{number}", hog, act, number, ctx.job_id, ctx.attempt)
    return act.steps


def hog(act: Act, number: int, job_id: str, attempt: int) -> int:
    name = f"step-{number}"
    note(BEGUN, job_id, name, attempt)
    if number == attempt == 1:
        # PyDLL keeps the GIL, so no thread of this process renews anything meanwhile.
        ctypes.PyDLL(None).sleep(int(act.pace))
    note(ENDED, job_id, name, attempt)
    return number


@job(name="once-only", queue="threads")
def once_only(act: Act, ctx: JobContext) -> int:
    """Do the first step again where it was cut off, and the second never."""
    ctx.run("step-1", step, act, 1, ctx.job_id, ctx.attempt)
    ctx.run("step-2", step, act, 2, ctx.job_id, ctx.attempt, once=True)
    return 2


@job(name="renamed", queue="threads")
def renamed(act: Act, ctx: JobContext) -> int:
    """Call the first step what the environment of the worker says."""
    ctx.run(os.environ.get(FIRST_STEP, "step-1"), step, act, 1, ctx.job_id, ctx.attempt)
    ctx.run("step-2", step, act, 2, ctx.job_id, ctx.attempt)
    return 2


def gated(act: Act, ctx: JobContext) -> int:
    """Wait in each step for a gate of its own, in every attempt."""
    for number in range(1, act.steps + 1):
        ctx.run(f"step-{number}", wait_at_gate, act, number, ctx.job_id, ctx.attempt)
    return act.steps


def wait_at_gate(act: Act, number: int, job_id: str, attempt: int) -> int:
    name = f"step-{number}"
    note(BEGUN, job_id, name, attempt)
    wait_until(Path(f"{act.gate}-{number}").exists, FOR_EVER, f"gate {number}")
    note(ENDED, job_id, name, attempt)
    return number


gated_in_thread = job(name="gated-in-thread", queue="threads")(gated)
gated_in_child = job(name="gated-in-child", queue="children")(gated)


def swallowing(act: Act, ctx: JobContext) -> int:
    """Take every error for its own, and go on."""
    for number in range(1, act.steps + 1):
        with suppress(Exception):
            ctx.run(f"step-{number}", step, act, number, ctx.job_id, ctx.attempt)
    return act.steps


swallowing_in_thread = job(name="swallowing-in-thread", queue="threads")(swallowing)
swallowing_in_child = job(name="swallowing-in-child", queue="children")(swallowing)


@job(name="busy-with-the-ledger", queue="threads")
def busy_with_the_ledger(act: Act, ctx: JobContext) -> int:
    """Dispatch a job and import a row into the ledger's own file, in turn."""
    for number in range(1, act.steps + 1):
        ctx.run(f"dispatch-{number}", hand_over, f"{ctx.job_id}-{number}")
        ctx.run(f"step-{number}", step, act, number, ctx.job_id, ctx.attempt)
        ctx.run(f"import-{number}", take_in, f"{ctx.job_id}-{number}")
    return act.steps


def hand_over(job_id: str) -> str:
    return dispatch_job(in_thread, Act(), job_id=job_id).id


def take_in(key: str) -> int:
    tables = SqlTables(load_settings().ledger_url)
    shape = TableShape("imported", (Column("key", "str"),))
    tables.ensure(shape)
    try:
        return tables.write_batch(shape, key, [{"key": key}])
    finally:
        tables.close()
