"""What a next release may bring: one step of each kind. Code of this release works on it."""

import os
import signal
from pathlib import Path

import sqlalchemy as sa

from failsoft.ledger.schema.revision import REVISIONS
from failsoft.ledger.upgrade import online
from failsoft.ledger.upgrade.operations import op

revision = "0099"
# Also where the next release has this one among its own.
down_revision = max(each for each in REVISIONS if each < revision)

JOBS = "failsoft_jobs"
#: Names a file; an upgrade that finds none makes it and is killed in the middle of a transaction.
TRAP = "_FAILSOFT_TEST_TRAP"
#: How many rows a batch has, other than usual.
BATCH = "_FAILSOFT_TEST_BATCH"


def upgrade() -> None:
    online.create_table(
        "failsoft_colours",
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("colour", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["failsoft_jobs.id"],
            name="fk_failsoft_colours_job_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", name="pk_failsoft_colours"),
    )
    online.add_columns(
        JOBS,
        sa.Column("colour", sa.String(length=16), nullable=True),
        sa.Column("shade", sa.Integer(), server_default=sa.text("0"), nullable=False),
    )
    online.create_index("ix_failsoft_jobs_colour", JOBS, ["colour"], where="colour IS NOT NULL")
    online.create_index("ix_failsoft_jobs_shade", JOBS, ["shade", "id"], unique=True)
    online.add_check(JOBS, "ck_failsoft_jobs_shade", "shade >= 0")
    online.once("a view of colours", JOBS, _view)
    online.backfill(
        "colours",
        table=JOBS,
        key="id",
        batch=int(os.environ.get(BATCH, online.BATCH)),
        statement="INSERT INTO failsoft_colours (job_id, colour) SELECT id, 'red'"
        " FROM failsoft_jobs WHERE id > :after AND id <= :upto ON CONFLICT DO NOTHING",
    )
    online.create_index("ix_failsoft_colours_passing", "failsoft_colours", ["colour"])
    online.drop_index("ix_failsoft_colours_passing", "failsoft_colours")


def _view() -> None:
    op.execute("DROP VIEW IF EXISTS failsoft_colours_of_jobs")
    op.execute("CREATE VIEW failsoft_colours_of_jobs AS SELECT colour FROM failsoft_colours")
    trap = Path(os.environ.get(TRAP, os.devnull))
    if not trap.exists():
        trap.touch()
        os.kill(os.getpid(), signal.SIGKILL)
