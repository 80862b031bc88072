"""Writing records into the outbox, in the transaction of the step that they belong to (rule 28)."""

import json
import secrets
from collections.abc import Sequence

from sqlalchemy import Connection, insert

from failsoft.job_engine.outbox import OutboxRecord
from failsoft.ledger.database.timestamps import now_us
from failsoft.ledger.schema.tables import outbox

_INSERT = insert(outbox).values(created_at=now_us())


def insert_records(
    connection: Connection, job_id: str, step: str, records: Sequence[OutboxRecord]
) -> None:
    """Insert what a step put into the outbox, in that order; call it behind the fence."""
    for record in records:
        # One by one: the numbers of an insert of many rows need not be in their order.
        values = {
            "id": secrets.token_hex(16),
            "engine": record.engine,
            "topic": record.topic,
            "key": record.key,
            "value": record.value,
            "headers": json.dumps([[name, value.hex()] for name, value in record.headers]),
            "job_id": job_id,
            "step": step,
        }
        connection.execute(_INSERT, values)
