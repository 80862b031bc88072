"""What `docs/evidence/README.md` says of benchmarks: ratios of what ran in turn, no promise."""

from collections.abc import Iterator, Mapping, Sequence

from tests.evidence.figures import Figures
from tests.evidence.tables import table

WAYS = ("one after the other", "through the queue")

STEPS = """Jobs of ten steps that do nothing, of each in turn on one database in one run. The aim is
three times DBOS's steps a second. Both wait for the disk once at each step, so that on a slow disk
neither can be much faster than the other: what a bare `INSERT` of the driver takes, committed, says
how much of it is the disk; in `/dev/shm` there is none. On SQLite DBOS has Failsoft's write-ahead
log; by itself it uses the slower journal. One after the other, each runs in a process of its own.
The job engine itself takes a fiftieth of a millisecond a step; the rest is the database and the
way there, and through the queue the engine's own work. On SQLite the steps that threads of a
worker record at the same time share one wait for the disk. `load` is how many processes wanted
the two cores, the benchmark's own too."""

DISPATCH = """One call of each in turn. Failsoft commits every job to the ledger first, which RQ
and Dramatiq do not; a ratio below 1 is faster than the raw engine."""

OUTAGES = """What a dispatch takes when the engine that is tried first is down, silent, blocked or
frozen: `first` is the first failure, `next` what comes after it. The promise is a p99 of the budget
plus 50 ms. `half a second` and `ledger only` call no engine: what they are late by, the machine is,
and a promise that was missed by less than that says nothing; it is to be measured again on a
machine that has nothing else to do."""

CONSOLE = """Every screen, from the login to the last byte of the page, and every read behind them,
on a ledger of so many finished jobs of which nothing has gathered statistics. The aim is a median
of 100 ms and 250 ms for nineteen in twenty calls. `processor` is what the console and the database
server computed for one call; what a call takes longer, it waited for a processor or a disk. `load`
is how many processes wanted the two cores. Of a bulk the aim is 1,667 jobs a second, and a turn of
100 ms at most."""

#: The calls that promise something.
PROMISING = ("first", "next")


def steps(runs: Sequence[Figures]) -> str:
    """Return a table of the rates, and whether the aim was met."""
    head = ["ledger", "where", "load", "steps", "of", "steps a second", "times DBOS"]
    return f"{table(head, _rates(runs))}\n\n{_aim(runs)}"


def _rates(runs: Sequence[Figures]) -> Iterator[Sequence[object]]:
    for run in runs:
        for way in WAYS:
            for rate in run[way]["rates"]:
                figures = [rate["steps_per_second"], f"{rate['times_dbos']:.2f}"]
                yield [run["ledger"], run["folder"], run["load"], way, rate["who"], *figures]


def _aim(runs: Sequence[Figures]) -> str:
    ours = [
        rate["times_dbos"]
        for run in runs
        for way in WAYS
        for rate in run[way]["rates"]
        if rate["who"].startswith("Failsoft")
    ]
    met = sum(each >= 3 for each in ours)
    return f"**The aim of 3 was met in {met} of {len(ours)};** the least was {min(ours):.2f}."


def dispatch(runs: Sequence[Figures]) -> str:
    """Return a table of what stood beside what."""
    head = ["ledger", "call", "raw", "p50 ms", "Failsoft", "p50 ms", "ratio of p50", "of p99"]
    return table(head, [row for run in runs for row in _pairs(run)])


def _pairs(run: Figures) -> Iterator[Sequence[object]]:
    for pair in run["found"]:
        calls = [cell for call in pair["calls"] for cell in (call["call"], call["p50_ms"])]
        yield [run["ledger"], pair["what"], *calls, pair["p50"], pair["p99"]]


def outages(run: Figures) -> str:
    """Return a table of every outage."""
    head = ["outage", "call", "p50 ms", "p99 ms", "max ms", "promise"]
    text = f"{run['calls']} calls each; the promise is {run['limit_ms']:g} ms.\n\n"
    return text + table(head, [_outage(row) for row in run["found"]])


def _outage(row: Figures) -> Sequence[object]:
    promise = row["promise"] if row["which"] in PROMISING else ""
    return [*(value for name, value in row.items() if name != "promise"), promise]


def console(found: Mapping[str, Figures]) -> str:
    """Return a table of the screens and the reads of each ledger, and what bulks took."""
    head = ["screen or read", "ledger", "p50 ms", "p95 ms", "processor ms", "met"]
    rows = [
        [
            f"`{each['name']}`",
            kind,
            each["p50_ms"],
            each["p95_ms"],
            each["processor_ms"],
            _met(each),
        ]
        for part in ("screens", "reads")
        for kind, figures in found.items()
        for each in figures.get(part, ())
    ]
    runs = "; ".join(f"{k}: {f['rows']:,} jobs, load {f['load']}" for k, f in found.items())
    return f"{runs}.\n\n{table(head, rows)}{_bulks(found)}"


def _bulks(found: Mapping[str, Figures]) -> str:
    bulks = [(kind, each["bulk"]) for kind, each in found.items() if "bulk" in each]
    names = ("cancelled", "a_second", "p50_ms", "longest_ms", "processor_seconds")
    rows = [[kind, *(each[name] for name in names), _met(each)] for kind, each in bulks]
    head = ["ledger", "cancelled", "a second", "p50 ms", "longest ms", "processor s", "met"]
    return f"\n\n{table(head, rows)}" if rows else ""


def _met(figures: Figures) -> str:
    return "yes" if figures["met"] else "**no**"
