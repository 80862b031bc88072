"""The spans that the clock went through twice: moments in them prove nothing to `verify`."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from failsoft.job_engine.invariants import Span
from failsoft.job_engine.ports.clock import GRACE, SLACK
from failsoft.ledger.database.inserts import insert_into
from failsoft.ledger.database.timestamps import instant, now_us, stored
from failsoft.ledger.schema.tables import info

_KEY = "clock-set-back-at-"
_NOW = select(now_us())
_KNOWN = select(info.c.key, info.c.value).where(info.c.key.startswith(_KEY, autoescape=True))
#: The clock of any moment from now on was ahead.
_END = datetime.max.replace(tzinfo=instant(0).tzinfo)


def note(connection: Connection, now: datetime, ahead: timedelta) -> None:
    """Note how far the clock was ahead until just now."""
    # What it showed before that was noticed, and what was measured late.
    values = {"key": f"{_KEY}{stored(now)}", "value": str(stored(now + ahead + GRACE))}
    # It may be noted again at the same moment, after a lost reply too (F22).
    statement = insert_into(connection.dialect.name, info)
    connection.execute(statement.values(values).on_conflict_do_nothing())


def spans(connection: Connection) -> Sequence[Span]:
    """Return from when to when moments prove nothing; what is still to come among them."""
    now = instant(connection.execute(_NOW).scalar_one())
    known = connection.execute(_KNOWN).all()
    noted = [
        (instant(int(key.removeprefix(_KEY))) - GRACE, instant(int(until))) for key, until in known
    ]
    return [*noted, (now + SLACK, _END)]
