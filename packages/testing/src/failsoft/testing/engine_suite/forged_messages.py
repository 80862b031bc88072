# ruff: noqa: S101 - a conformance suite asserts
"""What an engine promises about messages that are not ours."""

import json

from failsoft.testing.engine_suite.bench import (
    EngineBench,
    ForeignMessage,
    delivered,
    eventually,
    new_message,
    offer,
    settled,
)

#: What no engine of ours ever sent.
GARBAGE = (b"", b"\x00\xff\xfe garbage", b"{", b'{"args": ', "žluť 🐎".encode(), b"\x80\x04K\x07.")
#: JSON, but not the five fields in their place.
OTHERS = (
    b"null",
    b"[]",
    b"7",
    b'"text"',
    b'{"hello": "world"}',
    b'{"args": [], "options": {}}',
    b'{"args": [{"v": 1}], "options": null}',
    b'["os.system", null, ["true"], {}]',
    b'{"args": [NaN], "options": {}}',
)
HUGE = json.dumps({"args": ["x" * 200_000], "options": {}}).encode()
DEEP = b"[" * 100_000


class ForeignMessagePromises:
    """They are dropped and counted, never called, and delay no other (RQ-17, DQ-14)."""

    def test_garbage_is_dropped_and_counted(self, bench: EngineBench) -> None:
        """And the next good message arrives."""
        _expect_dropped(bench, *GARBAGE)

    def test_json_that_is_not_ours_is_dropped_and_counted(self, bench: EngineBench) -> None:
        """And the next good message arrives."""
        _expect_dropped(bench, *OTHERS)

    def test_what_is_too_large_or_too_deep_is_dropped_and_counted(self, bench: EngineBench) -> None:
        """Without being read, and the next good message arrives."""
        _expect_dropped(bench, HUGE, DEEP)

    def test_messages_that_name_other_code_are_dropped_and_counted(
        self, bench: EngineBench
    ) -> None:
        """Nothing but our own processor is ever called."""
        assert bench.foreign, "expected a bench with messages that name other code, got none"
        _expect_dropped(bench, *bench.foreign)

    def test_many_foreign_messages_do_not_stop_the_worker(self, bench: EngineBench) -> None:
        """More of them than the worker takes at once."""
        _expect_dropped(bench, *[b"garbage"] * 50)


def _expect_dropped(bench: EngineBench, *strangers: bytes | ForeignMessage) -> None:
    for each in strangers:
        bench.plant(ForeignMessage(each) if isinstance(each, bytes) else each)
    message = new_message()
    offer(bench, message)

    assert delivered(bench, 1) == [message]
    eventually(lambda: bench.rejected() >= len(strangers), f"{len(strangers)} are counted")
    assert settled(bench) == [message]
    assert bench.rejected() == len(strangers)
