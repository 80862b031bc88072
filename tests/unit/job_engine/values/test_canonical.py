"""What is equal has one text, one digest and one key, in every process."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, RootModel

from failsoft.job_engine import Concurrency, RateLimit, Unique
from failsoft.job_engine.values.canonical import digest
from failsoft.job_engine.values.codec import decode_payload, encode_payload

ROOT = Path(__file__).parents[4]
LIMIT = 64 * 1024


class Colours(RootModel[frozenset[str]]):
    model_config = ConfigDict(frozen=True)


@dataclass
class Place:
    roads: set[str]


class Deep(BaseModel):
    """Every way in which a set may stand in a payload."""

    model_config = ConfigDict(extra="allow")
    tags: set[str]
    nested: frozenset[frozenset[str]] = frozenset()
    by_name: dict[str, set[int]] = Field(default_factory=dict)
    places: list[Place] = Field(default_factory=list)
    colours: Colours = Colours(frozenset())
    models: set[Colours] = Field(default_factory=set)
    pairs: tuple[set[str], str] = (set(), "")


def reported(payload: BaseModel) -> dict[str, str]:
    """Return all that is made of a payload to compare it by."""
    names = tuple(type(payload).model_fields)
    text = encode_payload(payload, type(payload), LIMIT)
    return {
        "digest": digest(text),
        "unique": Unique(by=names).key(payload).key,
        "concurrency": Concurrency(limit=1, by=names).of("job", payload).key,
        "rate": RateLimit(limit=1, period=HOUR, by=names).of("job", payload).key,
    }


WORDS = ["red", "green", "blue", "black", "white", "ochre"]
HOUR = timedelta(hours=1)


def a_deep_one(words: list[str]) -> Deep:
    return Deep(
        tags=set(words),
        nested=frozenset({frozenset(words), frozenset(words[:2])}),
        by_name={word: {len(word), len(word) * 7, 1} for word in words},
        places=[Place(set(words))],
        colours=Colours(frozenset(words)),
        models={Colours(frozenset(words)), Colours(frozenset(words[2:4]))},
        pairs=(set(words), "x"),
        **{f"extra_{word}": word for word in words},
    )


PROGRAM = """
import json
from tests.unit.job_engine.values.test_canonical import WORDS, a_deep_one, reported
print(json.dumps(reported(a_deep_one(WORDS))))
"""


def test_equal_payloads_have_equal_keys_whatever_the_process() -> None:
    seen = set()
    for seed in ("0", "1", "2", "3"):
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        seen.add(ran.stdout)

    assert len(seen) == 1
    assert json.loads(seen.pop()).keys() == {"digest", "unique", "concurrency", "rate"}


class Free(BaseModel):
    tags: set[str]
    options: dict[str, set[int]]
    anything: Any = None


texts = st.text(max_size=8).filter(str.isprintable)
anything = st.recursive(
    st.none() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.sets(texts), st.dictionaries(texts, st.sets(st.integers())), anything, st.randoms())
def test_equal_payloads_have_equal_keys_whatever_the_order(
    tags: set[str], options: dict[str, set[int]], value: Any, random: Any
) -> None:
    def shuffled(given: Any) -> Any:
        if isinstance(given, dict):
            items = [(key, shuffled(inner)) for key, inner in given.items()]
            random.shuffle(items)
            return dict(items)
        if isinstance(given, set):
            # Filled in another order, a set of the same elements iterates in another one.
            elements = list(given)
            random.shuffle(elements)
            return set(elements)
        return [shuffled(inner) for inner in given] if isinstance(given, list) else given

    one = Free(tags=tags, options=options, anything=value)
    other = Free(tags=shuffled(tags), options=shuffled(options), anything=shuffled(value))

    assert one == other
    assert reported(one) == reported(other)


def test_another_payload_has_another_digest() -> None:
    one, other = (Free(tags={"a"}, options={"b": {n}}) for n in (1, 2))

    assert all(reported(one)[name] != reported(other)[name] for name in reported(one))


class Camel(BaseModel):
    model_config = ConfigDict(alias_generator=lambda name: name.replace("_", "-"))
    user_id: int
    full_name: str = Field(default="", validation_alias="name", serialization_alias="title")


@pytest.mark.parametrize(
    "text", ['{"user_id": 7, "full_name": "ada"}', '{"user-id": 7, "name": "ada"}']
)
def test_a_payload_with_aliases_is_kept_by_its_own_names_and_read_by_either(text: str) -> None:
    payload = Camel(**{"user-id": 7, "name": "ada"})

    assert encode_payload(payload, Camel, LIMIT) == '{"user_id":7,"full_name":"ada"}'
    assert decode_payload(text, Camel) == payload
