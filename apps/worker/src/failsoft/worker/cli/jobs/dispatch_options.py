"""The options of a dispatch on the command line: those of `dispatch_job` without the session."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError

from failsoft.dispatcher import DispatchOptions
from failsoft.job_engine.errors import DefinitionError
from failsoft.job_engine.policies.limits import Concurrency, RateLimit
from failsoft.job_engine.policies.uniqueness import Debounce, Throttle, Unique
from failsoft.worker.cli.options import (
    MOMENT,
    Option,
    duration,
    duration_option,
    either,
    moment,
    options,
)

_SPANS = ("period", "max_wait")


def _policy(kind: type) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    """Return a click callback that reads the fields of a policy from JSON."""
    reader: TypeAdapter[Any] = TypeAdapter(kind)

    def read(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
        if value is None:
            return None
        try:
            given = json.loads(value)
            spans = [name for name in _SPANS if isinstance(given, dict) and name in given]
            given |= {name: duration(ctx, param, str(given[name])) for name in spans}
            return reader.validate_python(given)
        except (ValueError, TypeError, ValidationError, DefinitionError) as error:
            why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            expected = 'JSON as {"by": ["user_id"], "period": "1h"}'
            raise click.BadParameter(f"expected {expected}, got {value!r}: {why}") from None

    return read


#: Adds the options to a command.
dispatch_options: Option = options(
    click.option("--key", "idempotency_key", help="Make no second job for the same key."),
    duration_option(
        "--key-for", "idempotency_for", text="How long that key, or the job id, is remembered."
    ),
    click.option("--job-id", help="The job's id; a new one where absent."),
    click.option(
        "--on-duplicate",
        type=click.Choice(["return_existing", "raise", "replace"]),
        help="The effect of a key that was used before.",
    ),
    duration_option("--delay", text="How long the job waits first."),
    click.option(
        "--at", "run_at", metavar="MOMENT", callback=moment, help="The moment that it waits for."
    ),
    click.option(
        "--expires",
        metavar=MOMENT,
        callback=either,
        help="When it is cancelled if it has not begun.",
    ),
    click.option("--queue", help="The queue it runs on, instead of the definition's."),
    click.option("--priority", type=int, help="From -100 to 100; a higher one is offered first."),
    click.option(
        "--engine",
        "engines",
        multiple=True,
        help="An engine that it may run on; several in their order.",
    ),
    click.option("--shard", help="What it belongs to, as a tenant's id: decides about its ledger."),
    click.option("--tag", "tags", multiple=True, help="A word to find it by; several are allowed."),
    *(
        click.option(
            f"--{name.replace('_', '-')}", metavar="JSON", callback=_policy(kind), help=help_
        )
        for name, kind, help_ in (
            ("unique", Unique, "Which jobs may not exist at the same time."),
            ("debounce", Debounce, "Run after a period without another dispatch."),
            ("throttle", Throttle, "Run once in a period."),
            ("concurrency", Concurrency, "How many may run at once."),
            ("rate_limit", RateLimit, "How many may begin within a period."),
        )
    ),
    click.option(
        "--confirm",
        type=click.Choice(["engine", "pickup"]),
        help="Return when an engine has the job, or a worker.",
    ),
    duration_option("--budget", text="How long the offers may take."),
    duration_option("--pickup", text="How long a claim may take."),
)


def options_of(given: Mapping[str, Any]) -> DispatchOptions:
    """Return the options of the dispatch that were given."""
    chosen: Any = {
        name: value
        for name, value in given.items()
        if name in DispatchOptions.__annotations__ and value not in (None, ())
    }
    if (expires := given["expires"]) is not None:
        name = "expires_in" if isinstance(expires, timedelta) else "expires_at"
        chosen[name] = expires
    found: DispatchOptions = chosen
    return found
