"""What the commands of routes are given: a match, weights, a guard."""

import re

import click

from failsoft.job_engine.records.routing.guard import DEFAULT_FAILURES, Guard
from failsoft.job_engine.records.routing.rule import RouteKind
from failsoft.worker.cli.options import Option, duration, options

Match = tuple[RouteKind, str]

_WEIGHT = re.compile(r"[0-9]{1,6}")


def weights(ctx: click.Context, param: click.Parameter, value: str) -> dict[str, int]:
    """Read `rq=80,kafka=20`; a click callback."""
    found: dict[str, int] = {}
    for pair in value.split(","):
        name, is_pair, weight = (part.strip() for part in pair.partition("="))
        if not (name and is_pair and _WEIGHT.fullmatch(weight)):
            raise click.BadParameter(f"expected weights as NAME=80,OTHER=20, got {value!r}")
        if name in found:
            raise click.BadParameter(f"expected each engine once, got {name!r} twice")
        found[name] = int(weight)
    return found


def guard(ctx: click.Context, param: click.Parameter, value: str | None) -> Guard | None:
    """Read `failures=5%,wait=30s`; a click callback."""
    if value is None:
        return None
    failures, wait = DEFAULT_FAILURES, None
    for pair in value.split(","):
        name, _, given = (part.strip() for part in pair.partition("="))
        if name == "failures":
            failures = _percent(given, value)
        elif name == "wait":
            wait = duration(ctx, param, given)
        else:
            raise click.BadParameter(f"expected a guard as failures=5%,wait=30s, got {value!r}")
    return Guard(failures, wait)


def _percent(given: str, whole: str) -> float:
    try:
        return float(given.removesuffix("%")) / 100
    except ValueError:
        raise click.BadParameter(
            f"expected failures in percent, as in failures=5%, got {whole!r}"
        ) from None


matching_options: Option = options(
    click.argument("everything", required=False, type=click.Choice(["default"])),
    click.option("--job", metavar="NAME", help="The jobs of a definition."),
    click.option("--tag", metavar="TAG", help="The jobs with a tag."),
    click.option("--queue", metavar="NAME", help="The jobs of a queue."),
)


def match_of(everything: str | None, job: str | None, tag: str | None, queue: str | None) -> Match:
    """Return what is to be covered.

    Raises:
        click.UsageError: If it is nothing, or several things.
    """
    given: dict[RouteKind, str | None] = {"job": job, "tag": tag, "queue": queue}
    given["default"] = "" if everything else None
    found: list[Match] = []
    found.extend((kind, name) for kind, name in given.items() if name is not None)
    if len(found) != 1:
        got = "several" if found else "none"
        raise click.UsageError(f"expected one of default, --job, --tag or --queue, got {got}")
    return found[0]
