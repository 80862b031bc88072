"""Pausing and resuming queues, definitions and engines."""

from collections.abc import Callable

from starlette.responses import Response

from failsoft.console.call import Call
from failsoft.job_engine.records.pauses import Pausable, Pause

#: What the screens and the audit call what is paused.
_WORDS: dict[Pausable, str] = {"job": "definition", "queue": "queue", "engine": "engine"}


def pausing(kind: Pausable) -> Callable[[Call], Response]:
    """Return the handler of `POST /queues/{name}/pause` and its like."""
    word = _WORDS[kind]

    def pause(call: Call) -> Response:
        name = call.path["name"]
        wanted = Pause(kind, name, call.named, call.text("reason"))
        call.act(call.entry("pause", word, name), lambda: call.ledger.pause(wanted))
        return call.done(f"The {word} {name} is paused.", call.url(f"{word}s"))

    return pause


def resuming(kind: Pausable) -> Callable[[Call], Response]:
    """Return the handler of `POST /queues/{name}/resume` and its like."""
    word = _WORDS[kind]

    def resume(call: Call) -> Response:
        # Checked as a pause is: a name that none could have is refused.
        paused = Pause(kind, call.path["name"], call.named)
        entry = call.entry("resume", word, paused.name)
        call.act(entry, lambda: call.ledger.unpause(kind, paused.name))
        return call.done(f"The {word} {paused.name} goes on.", call.url(f"{word}s"))

    return resume
