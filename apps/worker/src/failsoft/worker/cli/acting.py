"""What the commands leave in the audit of the ledger: who did what to what."""

import getpass
import secrets
from contextlib import AbstractContextManager

from failsoft.job_engine.ports.console import Activity, AuditEntry
from failsoft.worker.cli.options import actor


def acting(
    ledger: Activity,
    action: str,
    target: tuple[str, str],
    reason: str = "",
    **detail: object,
) -> AbstractContextManager[None]:
    """Record what is done within the block as an action of the user of this terminal.

    Args:
        ledger: The ledger.
        action: What is done, as in `cancel`.
        target: The kind of thing that it is done to, and its id or name.
        reason: Why.
        detail: What else belongs to it.
    """
    kind, name = target
    entry = AuditEntry(
        id=secrets.token_hex(16),
        actor=actor(),
        source=f"cli {getpass.getuser()}",
        action=action,
        target_kind=kind,
        target=name,
        reason=reason,
        detail=detail,
    )
    return ledger.acting(entry)
