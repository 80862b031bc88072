"""The options of a dispatch on the command line: all that `dispatch_job` has but a session."""

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
from failsoft.worker.cli.dates import MOMENT, either, moment
from failsoft.worker.cli.durations import duration
from failsoft.worker.cli.output import Option

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
            said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            wanted = 'JSON as {"by": ["user_id"], "period": "1h"}'
            raise click.BadParameter(f"expected {wanted}, got {value!r}: {said}") from None

    return read


_OPTIONS: tuple[Option, ...] = (
    click.option("--key", "idempotency_key", help="Make no second job for the same key."),
    click.option(
        "--key-for",
        "idempotency_for",
        metavar="DURATION",
        callback=duration,
        help="How long that key, or the job id, is remembered.",
    ),
    click.option("--job-id", help="The job's id; a new one where absent."),
    click.option(
        "--on-duplicate",
        type=click.Choice(["return_existing", "raise", "replace"]),
        help="What a key does that was used before.",
    ),
    click.option(
        "--delay", metavar="DURATION", callback=duration, help="How long the job waits first."
    ),
    click.option(
        "--at", "run_at", metavar="MOMENT", callback=moment, help="The moment that it waits for."
    ),
    click.option(
        "--expires",
        metavar=MOMENT,
        callback=either,
        help="By when it must have begun; it is cancelled otherwise.",
    ),
    click.option("--queue", help="The queue it runs on, instead of the definition's."),
    click.option("--priority", type=int, help="From -100 to 100; a higher one is offered first."),
    click.option(
        "--engine",
        "engines",
        multiple=True,
        help="An engine that it may run on; several in their order.",
    ),
    click.option("--tag", "tags", multiple=True, help="A word to find it by; may be several."),
    *(
        click.option(
            f"--{name.replace('_', '-')}", metavar="JSON", callback=_policy(kind), help=help_
        )
        for name, kind, help_ in (
            ("unique", Unique, "Which jobs may not be there at the same time."),
            ("debounce", Debounce, "Run when no other dispatch has come for a while."),
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
    click.option(
        "--budget", metavar="DURATION", callback=duration, help="How long handing it over may take."
    ),
    click.option(
        "--pickup", metavar="DURATION", callback=duration, help="How long a claim may take."
    ),
)


def dispatch_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


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
    options: DispatchOptions = chosen
    return options
