"""Which ledger a shard's jobs are in: the same everywhere, whatever Python or order of names."""

import subprocess
import sys
from collections import Counter
from itertools import permutations

import pytest

from failsoft.dispatcher.options.shards import choose

NAMES = ("a", "b", "c")
REGIONS = ("eu-1", "eu-2", "us")
#: Written down once. If one of these changes, every deployment loses sight of its jobs.
VECTORS = [
    ("acme", "b", "eu-2"),
    ("globex", "b", "eu-2"),
    ("initech", "c", "us"),
    ("日本", "a", "eu-2"),
    ("7", "b", "us"),
    ("0d9c2f3e-5a", "a", "us"),
    ("x" * 128, "a", "us"),
]
MANY = [str(number) for number in range(10_000)]


@pytest.mark.parametrize(("shard", "first", "second"), VECTORS)
def test_known_shards_stay_where_they_are(shard: str, first: str, second: str) -> None:
    assert (choose(NAMES, shard), choose(REGIONS, shard)) == (first, second)


def test_the_order_of_the_names_does_not_matter() -> None:
    for names in permutations(NAMES):
        assert [choose(names, shard) for shard in MANY[:100]] == [
            choose(NAMES, shard) for shard in MANY[:100]
        ]


def test_a_process_with_another_hash_seed_chooses_the_same() -> None:
    program = (
        "from failsoft.dispatcher.options.shards import choose\n"
        f"print([choose({NAMES!r}, shard) for shard in {[v[0] for v in VECTORS]!r}])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONHASHSEED": "4711", "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert found.stdout.strip() == repr([vector[1] for vector in VECTORS])


def test_the_ledgers_get_equal_parts() -> None:
    found = Counter(choose(NAMES, shard) for shard in MANY)

    assert all(3_200 < count < 3_470 for count in found.values()), found


def test_another_ledger_takes_over_its_part_and_nothing_else_moves() -> None:
    moved = [
        (before, after)
        for shard in MANY
        if (before := choose(NAMES, shard)) != (after := choose((*NAMES, "d"), shard))
    ]

    assert {after for _, after in moved} == {"d"}
    assert 2_350 < len(moved) < 2_650
    assert all(750 < count < 900 for count in Counter(before for before, _ in moved).values())
