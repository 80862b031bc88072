"""`docs/evidence/README.md`, made of the figures of the last runs."""

from collections import Counter
from collections.abc import Callable, Sequence

from tests.evidence import benchmarks
from tests.evidence.figures import Figures, all_in, one, total
from tests.evidence.tables import table

#: What a chaos run counts that says something about the promises.
CHAOS_COUNTS = ("jobs", "attempts", "hand-offs", "stale messages refused", "attempts fenced")

INTRODUCTION = """# The evidence

What was tried to break the promises, how often, and what came of it. Each part names the command
that does it again. This page is written by `make evidence` from the figures that the last runs left
in [`docs/evidence`](.); the faults of the matrix and their tests have
[a page of their own](faults.md)."""


def page() -> str:
    """Return the whole page."""
    parts = (
        _model,
        _spin,
        _stateful,
        _simulation,
        _crash_points,
        _chaos,
        _cluster,
        _sabotage,
        _verify,
        _steps,
        _dispatch,
        _outages,
        _console,
        _tutorial,
        _violations,
    )
    return "\n\n".join([INTRODUCTION, *(each() for each in parts)]) + "\n"


def _part(title: str, meaning: str, command: str, body: str) -> str:
    return f"## {title}\n\n{meaning}\n\n```console\n$ {command}\n```\n\n{body}"


def _or_not_run(figures: object, render: Callable[[], str]) -> str:
    return render() if figures else "*Not run yet.*"


def _model() -> str:
    runs = all_in("model")
    sound = [run for run in runs if "mutation" not in run]
    broken = [run for run in runs if "mutation" in run]
    states = sum(run["states"] for run in sound)
    caught = sum(set(run["expected"]) <= set(run["violated"]) for run in broken)
    rows = [[run["configuration"], run["states"], run["actions"], run["seconds"]] for run in sound]
    mutations = [
        [run["mutation"], run["meaning"], ", ".join(run["violated"])]
        for run in sorted(broken, key=_number)
    ]
    text = f"**{states:,} states, {sum(len(run['violated']) for run in sound)} violations;** "
    text += f"{caught} of {len(broken)} mutations caught.\n\n"
    text += table(["configuration", "states", "actions", "seconds"], rows) + "\n\n"
    return _part(
        "Every order of events, in a model",
        "An explicit-state search over the product's own table of transitions: any message ever "
        "sent may arrive at any time any number of times, any lease may run out, any process may "
        "die between any two actions, replies are lost. Each mutation takes one rule away and must "
        "be caught by the promise that it breaks.",
        "python -m tests.model",
        _or_not_run(
            runs, lambda: text + table(["mutation", "the rule it breaks", "caught"], mutations)
        ),
    )


def _number(run: Figures) -> tuple[int, str]:
    name = str(run["mutation"])
    return int("".join(filter(str.isdigit, name))), name


def _spin() -> str:
    verdicts = one("spin/spin") or []
    rows = [
        [
            each["name"],
            each["states"],
            "broken" if each["broken"] else "sound",
            "yes" if each["broken"] == bool(each["breaks"]) else "**no**",
        ]
        for each in verdicts
    ]
    return _part(
        "The same protocol, checked by Spin",
        "A model written apart from the code, in Promela, and checked by another program.",
        "make model-spin",
        _or_not_run(rows, lambda: table(["case", "states", "found", "as expected"], rows)),
    )


def _stateful() -> str:
    runs = all_in("stateful")
    rows = [
        [run["ledger"], run["profile"], run["machines"], run["rules"], run["seconds"]]
        for run in runs
    ]
    head = ["ledger", "profile", "machines", "calls", "seconds"]
    return _part(
        "Any order of calls, on the real SQL",
        "Hypothesis machines call a SQL ledger and the one in memory the same, lose replies, end "
        "processes inside transactions, and check every promise after each call.",
        "make test-long",
        _or_not_run(rows, lambda: table(head, rows)),
    )


def _simulation() -> str:
    found = one("simulation/simulation")

    def text() -> str:
        head = (
            f"**{found['seeds']:,} seeds, {len(found['failed'])} failed:** {found['jobs']:,} jobs "
            f"in {found['simulated_seconds']:,} simulated seconds. What a run must have met, and "
            "how often it did:\n\n"
        )
        return head + table(["met", "times"], found["sometimes"].items())

    return _part(
        "Whole systems, simulated from a seed",
        "Dispatchers, workers, rescuers, engines and the ledger in one thread on a virtual clock; "
        "messages are lost, repeated, delayed and reordered, processes die anywhere.",
        "make test-long",
        _or_not_run(found, text),
    )


def _crash_points() -> str:
    matrix = one("crash_points/matrix") or []
    rows = [[each["misfortune"], each["points"], each["violations"]] for each in matrix]
    return _part(
        "Death at every boundary",
        "Real processes and servers; each named point before and after a commit, an offer, a step "
        "and an acknowledgement. A part of it is in `make test`.",
        "make test ARGS='-m long tests/crash_points'",
        _or_not_run(rows, lambda: table(["misfortune", "points", "violations"], rows)),
    )


def _chaos() -> str:
    runs = all_in("chaos")
    rows = [_chaos_row(run) for run in runs]
    head = ["ledger", "engines", "seed", "minutes", *CHAOS_COUNTS, "nemeses", "violations"]
    return _part(
        "Chaos",
        "Two dispatchers, two workers of each engine and two rescuers at work, while seeded "
        "nemeses kill, freeze, wipe, restart, fill, cut and skew everything; then all must drain, "
        "and a witness that the system does not write is compared with the ledger.",
        "make chaos MINUTES=10",
        _or_not_run(rows, lambda: f"{_chaos_sum(runs)}\n\n{table(head, rows)}{_features(runs)}"),
    )


def _cluster() -> str:
    runs = all_in("cluster")
    names = ("accepted", "refused", "lost", "doubled", "charged")
    seconds = ("dispatches_paused", "dispatches_went_on", "steps_went_on")
    rows = [
        [
            run["misfortune"].replace("_", " "),
            "synchronous" if run["synchronous"] else "asynchronous",
            *(run[name] for name in (*names, *seconds)),
        ]
        for run in runs
    ]
    head = [
        "what happens",
        "replication",
        *names,
        "seconds without",
        "until accepted",
        "until a step began",
    ]
    return _part(
        "A PostgreSQL cluster that fails over",
        "Debian's Patroni and etcd, three nodes of each on addresses of their own, under a load of "
        "dispatches and with a worker at work; the last two columns count from the moment at which "
        "there is a primary again.",
        "sudo make test-cluster",
        _or_not_run(rows, lambda: table(head, rows)),
    )


def _features(runs: Sequence[Figures]) -> str:
    """Return how many jobs met each feature and ended well, in the runs that play them."""
    met: Counter[str] = Counter()
    for run in runs:
        met.update(run.get("features", {}))
    if not met:
        return ""
    return f"\n\n{table(['what jobs did, and ended well', 'jobs'], sorted(met.items()))}"


def _chaos_row(run: Figures) -> list[object]:
    counts = [run["counts"].get(name, 0) for name in CHAOS_COUNTS]
    nemeses = sum(run["nemeses"].values())
    # The runs of before there was a choice have none.
    engines = ", ".join(run.get("engines", ("rq", "dramatiq")))
    names = [run["ledger"], engines, run["seed"], f"{run['minutes']:g}"]
    return [*names, *counts, nemeses, run["violations"]]


def _chaos_sum(runs: Sequence[Figures]) -> str:
    sums = total(runs, *CHAOS_COUNTS)
    by_ledger = [
        f"{sum(run['minutes'] for run in runs if run['ledger'] == ledger):g} minutes on {ledger}"
        for ledger in sorted({run["ledger"] for run in runs})
    ]
    counted = ", ".join(f"{count:,} {name}" for name, count in sums.items())
    broken = sum(run["violations"] for run in runs)
    return f"**{' and '.join(by_ledger)}: {broken} violations;** {counted}."


def _sabotage() -> str:
    broken = one("sabotage") or []
    rows = [
        [each["rule"], each["meaning"], f"`{each['by'][0]}`"] for each in broken if each["caught"]
    ]
    text = f"**{len(rows)} of {len(broken)} found.**\n\n"
    return _part(
        "One rule less",
        "Each time one rule is taken out of a copy of the product's own code, as a careless hand "
        "would, and a layer of `make test` must turn red.",
        "make sabotage",
        _or_not_run(rows, lambda: text + table(["rule", "what the code does", "found by"], rows)),
    )


def _verify() -> str:
    rows = [
        [run["ledger"], run["jobs"], run["events"], run["seconds"], run["megabytes"]]
        for run in all_in("verify")
    ]
    head = ["ledger", "jobs", "events", "seconds", "megabytes"]
    return _part(
        "A large ledger, verified",
        "`failsoft ledger verify` reads every history of a ledger in one snapshot, and what jobs "
        "have to do with each other.",
        "python -m tests.model.ledgers sqlite:////tmp/ledger.db 270000",
        _or_not_run(rows, lambda: table(head, rows)),
    )


def _steps() -> str:
    found = [each for run in ("disk", "memory") for each in one(f"bench/steps-{run}") or ()]
    return _part(
        "Steps a second, beside DBOS",
        benchmarks.STEPS,
        "make bench-steps && TMPDIR=/dev/shm make bench-steps",
        _or_not_run(found, lambda: benchmarks.steps(found)),
    )


def _dispatch() -> str:
    found = all_in("bench", "dispatch-*")
    return _part(
        "Dispatching, beside raw RQ and raw Dramatiq",
        benchmarks.DISPATCH,
        'make bench && make bench ARGS="--ledger postgresql"',
        _or_not_run(found, lambda: benchmarks.dispatch(found)),
    )


def _outages() -> str:
    found = one("bench/outages")
    return _part(
        "Dispatching while a broker is away",
        benchmarks.OUTAGES,
        "make bench-outages",
        _or_not_run(found, lambda: benchmarks.outages(found)),
    )


def _console() -> str:
    found = one("console")
    return _part(
        "A console of a large ledger",
        benchmarks.CONSOLE,
        "make console-scale ROWS=1000000",
        _or_not_run(found, lambda: benchmarks.console(found)),
    )


def _tutorial() -> str:
    found = one("tutorial")
    return _part(
        "The tutorial, typed by hand",
        "Every command of its pages, in two terminals, from wheels in an empty folder: what is "
        "printed is compared with the page. `load` is how many processes wanted the two cores on "
        "an average of one, five and fifteen minutes.",
        "make test-long",
        _or_not_run(found, lambda: _walked(found)),
    )


def _walked(found: Figures) -> str:
    names = list(found["seconds"])
    seconds = dict(found["seconds"])
    to_the_last = sum(seconds[name] for name in names[: names.index(found["last"]) + 1])
    load = ", ".join(map(str, found["load"]))
    text = f"**{to_the_last:.0f} s from the installation to the end of {found['last']};** the aim "
    text += f"is 90 s on a machine that has nothing else to do. Load: {load}.\n\n"
    return text + table(["page", "seconds"], seconds.items())


def _violations() -> str:
    found = one("violations") or []
    rows = [[each["found"], each["by"], each["fixed"]] for each in found]
    text = "What the layers above, and the tests before them, found broken; all of it is fixed."
    return f"## Found so far\n\n{text}\n\n{table(['what was broken', 'found by', 'the fix'], rows)}"
