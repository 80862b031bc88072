"""What happened, and what people did, by time."""

from collections.abc import Sequence
from datetime import datetime

from starlette.responses import Response

from failsoft.console.call import Call
from failsoft.job_engine.ports.console import AuditEntry, Notice

_SHOWN = 100


def activity(call: Call) -> Response:
    """`GET /activity`."""
    query = call.request.query_params
    kind, target = query.get("kind", ""), query.get("target", "")[:255] or None
    before, told = query.get("audit") or None, query.get("notice") or None
    audits = call.panel(
        ("audits", before, target), lambda ledger: ledger.audits(before, _SHOWN, target)
    )
    notices = call.panel(("notices", told), lambda ledger: ledger.notices(told, _SHOWN))
    entries: list[AuditEntry | Notice] = []
    if kind != "notices" and audits.value:
        entries += audits.value.items
    if kind != "actions" and notices.value and target is None:
        entries += notices.value.items
    return call.page(
        "activity.html",
        title="Activity",
        entries=_newest_first(entries),
        kind=kind,
        target=target,
        panel=audits,
        older=_older(audits.value.after if audits.value else None, "audit")
        or _older(notices.value.after if notices.value else None, "notice"),
    )


def _newest_first(entries: Sequence[AuditEntry | Notice]) -> Sequence[AuditEntry | Notice]:
    def moment(entry: AuditEntry | Notice) -> datetime:
        assert entry.at is not None  # noqa: S101 - it was read from the ledger
        return entry.at

    return sorted(entries, key=moment, reverse=True)


def _older(cursor: str | None, name: str) -> tuple[str, str] | None:
    return None if cursor is None else (name, cursor)
