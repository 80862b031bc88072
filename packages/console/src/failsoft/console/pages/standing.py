"""What jobs stand still for: events, and the room of limits."""

import json

from starlette.responses import Response

from failsoft.console.call import Call
from failsoft.job_engine.errors import OptionInvalidError

_SHOWN = 50
#: The longest payload of an event that is typed.
MOST_TYPED = 512 * 1024


def waits(call: Call) -> Response:
    """`GET /waits`."""
    after = call.request.query_params.get("after") or None
    panel = call.panel(("waits", after), lambda ledger: ledger.waits(after, _SHOWN))
    page = panel.value
    return call.page(
        "waits.html",
        title="Waits",
        waits=page.items if page else (),
        after=page.after if page else None,
        panel=panel,
    )


def limits(call: Call) -> Response:
    """`GET /limits`."""
    after = call.request.query_params.get("after") or None
    panel = call.panel(("limits", after), lambda ledger: ledger.limit_keys(after, _SHOWN))
    page = panel.value
    return call.page(
        "limits.html",
        title="Limits",
        # The keys that keep most jobs waiting come first on their page.
        keys=sorted(page.items, key=lambda each: -each.waiting.number) if page else (),
        after=page.after if page else None,
        panel=panel,
    )


def send_event(call: Call) -> Response:
    """`POST /waits`: send the event `event` to the job `to`, or under the key `key`."""
    event, to, key = (call.text(name, most=255) for name in ("event", "to", "key"))
    if bool(to) == bool(key):
        got = "both" if to else "neither"
        raise OptionInvalidError(f"expected a job or a key to send the event to, got {got}")
    try:
        payload = json.loads(call.text("payload", most=MOST_TYPED) or "null")
    except (ValueError, RecursionError):
        raise OptionInvalidError("expected the payload as JSON, got something else") from None
    entry = call.entry("send", "event", event, **({"to": to} if to else {"key": key}))
    dispatcher = call.site.environment.dispatcher()
    woken = dispatcher.send_event(event, payload, to=to or None, key=key or None)
    call.ledger.audit(entry)
    return call.done(f"The event was sent; {woken} jobs were woken.", call.url("waits"))
