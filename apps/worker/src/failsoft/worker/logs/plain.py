"""The log lines of a process that logs few and imports little: the supervisor.

They have the form of those of `output`, without what only events and jobs have.
"""

import json
import logging
from datetime import UTC, datetime

from failsoft.job_engine.values.redaction import redacted
from failsoft.worker.logs.visible import MARGIN, visible, visible_block


class PlainFormatter(logging.Formatter):
    """Makes a record one line, as JSON or as text; a traceback follows behind a margin.

    Args:
        as_json: Whether it becomes a JSON object.
    """

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, with the passwords of URLs masked."""
        moment = datetime.fromtimestamp(record.created, UTC).replace(tzinfo=None)
        timestamp, level = f"{moment.isoformat()}Z", record.levelname.lower()
        message = redacted(record.getMessage())
        traceback = redacted(self.formatException(record.exc_info)) if record.exc_info else ""
        if self._as_json:
            line = {"message": message, "level": level, "logger": record.name}
            line |= {"timestamp": timestamp} | ({"exception": traceback} if traceback else {})
            return json.dumps(line)
        block = f"\n{MARGIN}{visible_block(traceback)}" if traceback else ""
        return f"{timestamp} [{level:<9}] {visible(message)} [{record.name}]{block}"
