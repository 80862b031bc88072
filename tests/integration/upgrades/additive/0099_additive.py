"""What a next release may bring: one step of each kind. Code of this release works on it."""

import os
import signal
from pathlib import Path

import sqlalchemy as sa

from understudy.ledger.schema.revision import REVISION
from understudy.ledger.upgrade import online
from understudy.ledger.upgrade.operations import op

revision = "0099"
down_revision = REVISION

JOBS = "understudy_jobs"
#: Names a file; whoever finds it missing makes it, and is killed in the middle of a transaction.
TRAP = "_UNDERSTUDY_TEST_TRAP"


def upgrade() -> None:
    online.create_table(
        "understudy_colours",
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("colour", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["understudy_jobs.id"],
            name="fk_understudy_colours_job_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", name="pk_understudy_colours"),
    )
    online.add_columns(
        JOBS,
        sa.Column("colour", sa.String(length=16), nullable=True),
        sa.Column("shade", sa.Integer(), server_default=sa.text("0"), nullable=False),
    )
    online.create_index("ix_understudy_jobs_colour", JOBS, ["colour"], where="colour IS NOT NULL")
    online.create_index("ix_understudy_jobs_shade", JOBS, ["shade", "id"], unique=True)
    online.add_check(JOBS, "ck_understudy_jobs_shade", "shade >= 0")
    online.once("a view of colours", JOBS, _view)
    online.backfill(
        "colours",
        table=JOBS,
        key="id",
        batch=40,
        statement="INSERT INTO understudy_colours (job_id, colour) SELECT id, 'red'"
        " FROM understudy_jobs WHERE id > :after AND id <= :upto ON CONFLICT DO NOTHING",
    )
    online.create_index("ix_understudy_colours_passing", "understudy_colours", ["colour"])
    online.drop_index("ix_understudy_colours_passing", "understudy_colours")


def _view() -> None:
    op.execute("DROP VIEW IF EXISTS understudy_colours_of_jobs")
    op.execute("CREATE VIEW understudy_colours_of_jobs AS SELECT colour FROM understudy_colours")
    trap = Path(os.environ.get(TRAP, os.devnull))
    if not trap.exists():
        trap.touch()
        os.kill(os.getpid(), signal.SIGKILL)
