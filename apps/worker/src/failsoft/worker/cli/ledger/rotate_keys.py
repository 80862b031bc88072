"""`failsoft ledger rotate-keys`."""

from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta

import click

from failsoft.job_engine.records.job import KeyRecord
from failsoft.ledger import SqlLedger, check
from failsoft.worker.cli.acting import acting
from failsoft.worker.cli.options import duration_option, json_option
from failsoft.worker.cli.output import print_json, print_table, span
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.ledger_access import open_database


@click.command("rotate-keys")
@duration_option(
    "--overlap", default="24h", text="How long messages of the other keys are still accepted."
)
@click.option("--revoke", metavar="KID", help="End this key now instead: it has leaked.")
@json_option
def rotate_keys(*, overlap: timedelta, revoke: str | None, as_json: bool) -> None:
    """Make a new signing key, and let the others end.

    Running processes use it within seconds, without a restart. An offer whose message is older
    than the overlap, or was signed with a revoked key, is refused by its worker and made again by
    a rescuer: no job is lost. Keys that have ended are deleted.
    """
    with closing(open_database(load_settings())) as database:
        check(database)
        ledger = SqlLedger(database)
        if revoke is None:
            with acting(ledger, "rotate", ("key", "")):
                ledger.rotate_keys(overlap)
        else:
            _revoke(ledger, revoke)
        records = ledger.key_records()
    if as_json:
        print_json({"keys": records})
        return
    print_table(
        "Signing keys",
        ("id", "created", "age", "ends"),
        ((each.kid, each.created_at, span(each.age), each.ends_at) for each in records),
    )


def _revoke(ledger: SqlLedger, kid: str) -> None:
    known: Sequence[KeyRecord] = ledger.key_records()
    if kid not in [each.kid for each in known]:
        valid = ", ".join(each.kid for each in known)
        raise click.UsageError(f"--revoke: expected a valid key ({valid}), got {kid}")
    with acting(ledger, "revoke", ("key", kid)):
        ledger.revoke_key(kid)
