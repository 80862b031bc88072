"""What is explored by `make test`, and what takes longer."""

from dataclasses import replace

from tests.model.rules import ONCE, PLAIN, SLEEP, Config

CONFIGURATIONS: tuple[Config, ...] = (
    Config("two workers, two rescuers, four epochs", 2, 2, 4, (PLAIN, ONCE), cancel=True),
    Config("three workers, two rescuers, three epochs", 3, 2, 3, (PLAIN, ONCE), cancel=True),
    Config("no cancellation", 3, 2, 3, (PLAIN, ONCE, PLAIN), retries=1),
    Config(
        "everything happens",
        2,
        2,
        4,
        (PLAIN, SLEEP, ONCE),
        cancel=True,
        retries=1,
        releases=1,
        deaths=True,
        limited=True,
    ),
    Config(
        "dispatched for later, to any engine",
        2,
        2,
        3,
        (PLAIN, ONCE),
        cancel=True,
        delayed=True,
        any_engine=True,
    ),
    Config(
        "a person resolves what is held", 2, 1, 4, (PLAIN, ONCE, PLAIN), cancel=True, resolve=True
    ),
    Config(
        "expires or is dispatched again",
        2,
        2,
        4,
        (PLAIN, ONCE),
        cancel=True,
        delayed=True,
        expires=True,
        replaced=True,
    ),
    Config(
        "the ledger's clock was ahead",
        2,
        2,
        3,
        (PLAIN, ONCE),
        cancel=True,
        retries=1,
        delayed=True,
        clock_ahead=True,
    ),
    Config(
        "routes change, and engines come and go",
        2,
        2,
        2,
        (PLAIN, ONCE),
        cancel=True,
        routes=True,
    ),
    Config("no step at all", 2, 2, 4, (), cancel=True, retries=1, releases=1, deaths=True),
)

#: The jobs of these have so many ways that a fourth epoch takes six times as long as three, and
#: more. Every mutation is found in three; "no step at all" keeps its fourth in every run.
_IN_THREE_EPOCHS = frozenset(
    {
        "two workers, two rescuers, four epochs",
        "everything happens",
        "a person resolves what is held",
        "expires or is dispatched again",
    }
)
#: The configurations as `make test` explores them, and those that `-m long` explores besides.
QUICK: tuple[Config, ...] = tuple(
    replace(each, epochs=3, name=f"{each.name}: the first three")
    if each.name in _IN_THREE_EPOCHS
    else each
    for each in CONFIGURATIONS
)
BESIDES: tuple[Config, ...] = tuple(
    each for each in CONFIGURATIONS if each.name in _IN_THREE_EPOCHS
)

#: Everything there is, small enough to look at each way through it.
EVERYTHING_SMALL = Config(
    "everything happens, three epochs",
    2,
    1,
    3,
    (PLAIN, SLEEP, ONCE),
    cancel=True,
    resolve=True,
    retries=1,
    releases=1,
    deaths=True,
    expires=True,
    replaced=True,
    limited=True,
)

#: Explored with every look of its own, to check that leaving those out leaves nothing out.
EVERY_LOOK = Config("every look on its own", 2, 1, 2, (PLAIN, ONCE), cancel=True)

LONG: tuple[Config, ...] = (
    Config(
        "three workers, two rescuers, four epochs, everything",
        3,
        2,
        4,
        (PLAIN, SLEEP, ONCE),
        cancel=True,
        retries=1,
        releases=1,
        deaths=True,
        limited=True,
        any_engine=True,
    ),
    Config(
        "routes change, and engines come and go, three epochs",
        2,
        1,
        3,
        (PLAIN, ONCE),
        cancel=True,
        routes=True,
    ),
    Config("five epochs", 3, 2, 5, (PLAIN, ONCE), cancel=True, retries=1),
)
