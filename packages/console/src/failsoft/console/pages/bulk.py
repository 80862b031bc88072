"""Actions on everything that a filter matches."""

from uuid import uuid4

from starlette.responses import Response

from failsoft.console.access.roles import Permission
from failsoft.console.call import Call
from failsoft.console.refusal import RefusedError
from failsoft.console.views.search import line_of, query_of, read_filter
from failsoft.job_engine.errors import OptionInvalidError
from failsoft.job_engine.ports.console import BulkAction, Count, NewBulk, bulk_filter
from failsoft.job_engine.ports.job_filter import JobFilter

#: A count that has changed by more than this share since it was shown is shown again.
DRIFT = 0.1
_DECISIONS = frozenset({BulkAction.RESUME, BulkAction.ABANDON})


def bulk_new(call: Call) -> Response:
    """`GET /bulk`: what an action would be done to, and the number to type."""
    query = call.request.query_params
    action = action_of(query.get("action", ""))
    pairs = [(name, value) for name, value in query.multi_items() if name != "action"]
    wanted = bulk_filter(action, read_filter(pairs))
    count = call.ledger.count(wanted)
    return _asked(call, action, wanted, count)


def bulk_start(call: Call) -> Response:
    """`POST /bulk`, with `action`, `filter`, `expected`, `typed`, and `least` for at least that."""
    action = action_of(call.text("action"))
    check_decides(call, action)
    wanted = bulk_filter(action, read_filter([("q", call.text("filter", most=2000))]))
    shown, typed = _number(call, "expected"), _number(call, "typed")
    if shown != typed:
        raise OptionInvalidError(f"expected the number {shown:,} to be typed, got {typed:,}")
    count = call.ledger.count(wanted)
    if has_changed(Count(shown, is_least=bool(call.text("least"))), count):
        return _asked(call, action, wanted, count, changed=shown)
    entry = call.entry(action, "bulk", line_of(wanted)[:200])
    bulk_id = call.text("id", most=64) or uuid4().hex
    new = NewBulk(bulk_id, action, wanted, shown, call.named, entry.source, entry.reason)
    record = call.ledger.bulk_start(new)
    call.site.bulks.begin(call.site.environment, record.id)
    return call.done("The bulk has begun.", call.url("bulk", id=record.id))


def bulk(call: Call) -> Response:
    """`GET /bulks/{id}`."""
    bulk_id = call.path["id"]
    panel = call.panel(("bulk", bulk_id), lambda ledger: ledger.bulk(bulk_id))
    record = panel.value
    if record is not None and record.state == "running" and not panel.is_stale:
        # One that its process left behind goes on wherever it is looked at.
        call.site.bulks.begin(call.site.environment, record.id)
    return call.page(
        "bulk.html",
        title="Bulk",
        bulk=record,
        line=line_of(record.filter) if record else "",
        query=query_of(record.filter) if record else "",
        panel=panel,
    )


def bulk_stop(call: Call) -> Response:
    """`POST /bulks/{id}/stop`."""
    bulk_id = call.path["id"]
    entry = call.entry("stop", "bulk", bulk_id)
    call.act(entry, lambda: call.ledger.bulk_stop(bulk_id))
    return call.done("The bulk has no further turn.", call.url("bulk", id=bulk_id))


def has_changed(shown: Count, now: Count) -> bool:
    """Return whether clearly more or fewer jobs match than were shown.

    At least so many, where a count was not carried to its end, contradicts no larger number.
    """
    drift = DRIFT * max(shown.number, 1)
    has_more = now.number > shown.number + drift and not shown.is_least
    return has_more or (now.number < shown.number - drift and not now.is_least)


def _asked(
    call: Call,
    action: BulkAction,
    wanted: JobFilter,
    count: Count,
    *,
    changed: int | None = None,
) -> Response:
    if call.is_api:
        raise OptionInvalidError(
            f"expected about {changed:,} jobs, got {count.number:,} that the filter matches now"
        )
    return call.page(
        "bulk_new.html",
        409 if changed is not None else 200,
        title=f"{action.value.capitalize()} all that match",
        action=action,
        line=line_of(wanted),
        query=query_of(wanted),
        count=count,
        changed=changed,
        bulk_id=uuid4().hex,
        may_decide=may_decide(call, action),
    )


def action_of(text: str) -> BulkAction:
    """Return the action of that name.

    Raises:
        OptionInvalidError: There is none.
    """
    if text not in tuple(BulkAction):
        raise OptionInvalidError(f"expected an action ({', '.join(BulkAction)}), got {text[:40]!r}")
    return BulkAction(text)


def may_decide(call: Call, action: BulkAction) -> bool:
    """Return whether the actor may do an action to held jobs, or it is another one."""
    return action not in _DECISIONS or call.may(Permission.RESOLVE)


def check_decides(call: Call, action: BulkAction) -> None:
    """Refuse an action whose further permission the actor has not.

    Raises:
        RefusedError: It is one.
    """
    if not may_decide(call, action):
        raise RefusedError(
            403, f"expected the permission {Permission.RESOLVE}, got the role {call.actor.role}"
        )


def _number(call: Call, name: str) -> int:
    text = call.text(name, most=20).replace(",", "")
    if not (text.isascii() and text.isdigit()):
        raise OptionInvalidError(f"expected {name} as a number, got {text!r}")
    return int(text)
