"""What traces cost a dispatch and a job of ten steps: switched off, without an SDK, and recorded.

    make bench-traces ARGS="--rounds 20 --json"

Switched off they are calls of methods that do nothing, which no other code stands beside to be
compared with: they are counted, and one of them is timed. The others are timed in one process in
turn with what is switched off, as `bench/costs/metrics.py` has it:

- *no SDK*: instrumented, and nobody records;
- *not sampled*: an SDK whose sampler takes none, as most attempts of a busy program are;
- *recorded*: an SDK that takes all, and exports them in batches to nowhere.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace import NoOpTracerProvider
from opentelemetry.trace import TracerProvider as AnyProvider
from rich.console import Console
from rich.table import Table

from bench.costs.metrics import TURNS, Nothing, Work, compared, dispatching, pairs, stepping
from bench.report.bars import at_most
from bench.steps.failsoft_steps import STEPS
from failsoft.job_engine import tracing
from failsoft.telemetry import instrument, uninstrument

#: The most that traces which are off may add, as a share of what it takes without them.
MOST = 0.01
#: How often the call is made that is timed.
CALLS = 200_000


class Nowhere(SpanExporter):
    """Takes spans, and sends none."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send nothing."""
        return SpanExportResult.SUCCESS


def providers(stack: ExitStack) -> Mapping[str, AnyProvider]:
    """Return where spans come from, by what it is called."""
    unsampled, recording = TracerProvider(sampler=ALWAYS_OFF), TracerProvider(sampler=ALWAYS_ON)
    for each in (unsampled, recording):
        each.add_span_processor(BatchSpanProcessor(Nowhere()))
        stack.callback(each.shutdown)
    return {"no SDK": NoOpTracerProvider(), "not sampled": unsampled, "recorded": recording}


def traced(work: Work, provider: AnyProvider) -> Work:
    """Return the same work within a process that is instrumented."""

    def within(part: Callable[[], None]) -> Callable[[], None]:
        def do() -> None:
            instrument(tracer_provider=provider)
            try:
                part()
            finally:
                uninstrument()

        return do

    return Work(work.most, within(work.turn), within(work.write))


def calls_of(work: Callable[[], None]) -> int:
    """Count the calls that work makes of the tracer and of spans, in this thread and new ones."""
    count = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call" and frame.f_code.co_filename == tracing.__file__

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return count


def seconds_of_a_call() -> float:
    """Return the processor time of a call that does nothing, with an argument."""
    span = tracing.UNTRACED
    started = time.process_time()
    for _ in range(CALLS):
        span.note(outcome="succeed")
    return (time.process_time() - started) / CALLS


def off(name: str, work: Work, without_us: float) -> dict[str, Any]:
    """Return what traces cost that are off.

    Args:
        name: What was timed.
        work: What is timed.
        without_us: How long one takes, with traces that are off.
    """
    calls = calls_of(work.round) / TURNS / work.most
    adds_us = calls * seconds_of_a_call() * 1e6
    share = adds_us / without_us
    figures = {"calls": round(calls, 1), "adds_us": round(adds_us, 2), "added": round(share, 4)}
    return {"name": name, "traces": "off", **figures, **at_most("", MOST, share)}


def main() -> None:
    """Measure, and print a table or figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20, help="of each pair")
    parser.add_argument("--json", action="store_true", help="print figures, not a table")
    arguments = parser.parse_args()
    os.environ["FAILSOFT_LOG_LEVEL"] = "WARNING"
    found = list[dict[str, Any]]()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        works = (
            ("a dispatch", dispatching(stack, f"sqlite:///{folder}/a.db", Nothing())),
            (f"a job of {STEPS} steps", stepping(f"sqlite:///{folder}/b.db", Nothing())),
        )
        for name, work in works:
            rows = [
                compared(name, work.most, pairs(work, traced(work, provider), arguments.rounds))
                | {"traces": traces}
                for traces, provider in providers(stack).items()
            ]
            found += [off(name, work, rows[0]["without_us"]), *rows]
    table = Table("", "traces", "adds, µs", "added", "between (95 %)", "met", title="traces")
    for each in found:
        low, high = each.get("between") or (each["added"], each["added"])
        adds = each.get("adds_us") or each["with_us"] - each["without_us"]
        spread = f"{low:+.1%} to {high:+.1%}"
        figures = (f"{adds:.1f}", f"{each['added']:+.1%}", spread, f"{each.get('met', '')}")
        table.add_row(each["name"], each["traces"], *figures)
    Console(stderr=arguments.json).print(table)
    if arguments.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
