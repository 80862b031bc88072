"""The jobs that a command is about: by an id, by the beginning of one, or by filters."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

import click

from failsoft.dispatcher.handles.retry import RetryRefusal
from failsoft.job_engine.errors import (
    JobIdAmbiguousError,
    JobNotFoundError,
    JobStateError,
    StepError,
)
from failsoft.job_engine.ports.ledger import LedgerReader
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.states import JobState
from failsoft.worker.cli.options import Option, options, since_and_until
from failsoft.worker.cli.output import counted, say

#: The shortest beginning of an id that is accepted for it.
LEAST_CHARS = 4
#: How many ids with an ambiguous beginning are named.
NAMED = 8
#: The most jobs that one command changes.
MOST = 10_000

T = TypeVar("T")


def find_id(ledger: LedgerReader, text: str) -> str:
    """Return the id of a job, given it or its beginning.

    Raises:
        JobNotFoundError: If there is none; `JobIdAmbiguousError` if there are several.
    """
    try:
        return ledger.get(text).id
    except JobNotFoundError as error:
        found = ledger.find_ids(text, NAMED + 1) if len(text) >= LEAST_CHARS else ()
        if not found:
            raise JobNotFoundError(
                f"{error}; at least the first {LEAST_CHARS} characters of an id stand for it"
            ) from None
    except ValueError:
        return text  # It is there, and cannot be read: `ledger verify` says why.
    if len(found) > 1:
        more = ", and others" if len(found) > NAMED else ""
        raise JobIdAmbiguousError(
            f"expected the beginning of one job's id, got {text!r}, with which these begin: "
            f"{', '.join(found[:NAMED])}{more}; write more of it"
        )
    return found[0]


def filter_options(what: str, *, states: Sequence[JobState] = ()) -> Option:
    """Return the options that choose jobs by what they have in common.

    Args:
        what: The event whose time `--since` and `--until` compare, as in `recorded`.
        states: Those that `--state` may name; no such option where empty.
    """
    choice = click.Choice([state.value for state in states])
    help_ = "Only jobs in this state; may be given several times."
    by_state = click.option("--state", "states", multiple=True, type=choice, help=help_)
    return options(
        *((by_state,) if states else ()),
        click.option("--name", help="Only jobs of this definition."),
        click.option("--queue", help="Only jobs of this queue."),
        click.option("--tag", help="Only jobs with this tag."),
        click.option("--key", help="Only jobs with this idempotency key."),
        since_and_until(what),
    )


#: The options of commands that change many jobs at once.
many_options: Option = options(
    click.option(
        "--error",
        metavar="TEXT",
        help="Only jobs whose error, or the reason they wait for, has this text in it.",
    ),
    click.option(
        "--limit",
        default=MOST,
        show_default=True,
        type=click.IntRange(1, MOST),
        help="How many at most.",
    ),
    click.option("--yes", is_flag=True, help="Do not ask; for programs."),
)


def chosen_by(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of `filter_options` that were given."""
    names = ("states", "name", "queue", "tag", "key", "since", "until", "error")
    return {name: value for name in names if (value := given.get(name))}


def find_many(
    ledger: LedgerReader, states: Sequence[JobState], given: Mapping[str, Any]
) -> Sequence[JobRecord]:
    """Return the jobs in some states that the options choose, the newest first."""
    wanted = chosen_by(given)
    text = wanted.pop("error", None)
    named = [JobState(state) for state in wanted.pop("states", ())]
    found = ledger.list_jobs(
        states=[state for state in states if state in (named or states)],
        limit=MOST if text else given["limit"],
        **wanted,
    )
    return [job for job in found if not text or mentions(ledger, job, text)][: given["limit"]]


def mentions(ledger: LedgerReader, job: JobRecord, text: str) -> bool:
    """Whether a job's error, or the reason that it waits for, contains a text."""
    texts = [job.error.type, job.error.message] if job.error else []
    texts += [str(event.detail.get("reason", "")) for event in ledger.events(job.id)[-1:]]
    return any(text.lower() in each.lower() for each in texts)


def for_each(
    ids: Iterable[str], change: Callable[[str], T]
) -> tuple[Sequence[T], Sequence[RetryRefusal]]:
    """Change each job; where one is refused, the others go on.

    Returns:
        What the changes returned, and the refusals.
    """
    done, refused = list[T](), list[RetryRefusal]()
    for given in ids:
        try:
            done.append(change(given))
        except (JobNotFoundError, JobStateError, StepError) as error:
            refused.append(RetryRefusal.of(given, error))
    return done, refused


def confirm(number: int, what: str, doing: str, given: Mapping[str, Any]) -> bool:
    """Prompt for a confirmation of the number of jobs, unless `--yes` is given.

    Args:
        number: How many were chosen.
        what: What they are, as in `held job`.
        doing: What is about to happen to them.
        given: The options of the command.

    Raises:
        click.UsageError: If there is no terminal to prompt at.
    """
    if given["yes"] or number == 0:
        return True
    chosen = f"{counted(number, what)} {'is' if number == 1 else 'are'} chosen"
    if given["as_json"] or not is_terminal():
        raise click.UsageError(f"{chosen}; give --yes to {doing}, or name fewer")
    return click.confirm(f"{chosen}; {doing}?", err=True)


def is_terminal() -> bool:
    """Whether standard input is a terminal; it may be closed, too."""
    return bool(sys.stdin) and not sys.stdin.closed and sys.stdin.isatty()


def say_refusals(refused: Sequence[RetryRefusal]) -> None:
    """Name each job that was refused, and why."""
    for each in refused:
        about = "" if each.job_id in each.reason else f"{each.job_id}: "
        say(f"{each.code} {each.error}: {about}{each.reason}", "red", err=True)


def hints(
    ledger: LedgerReader, given: Mapping[str, Any], known: Mapping[str, Any]
) -> Iterator[str]:
    """Return the names that look misspelled, where no job was found.

    Args:
        ledger: The ledger.
        given: The options, of which `name` and `queue` are examined.
        known: The known names of each of these options.
    """
    for option, names in known.items():
        name = given.get(option)
        if not name or name in names or ledger.list_jobs(limit=1, **{option: name}):
            continue
        close = get_close_matches(name, names, 1)
        meant = f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(names)}"
        yield f"no {option} {name!r} is known{meant}"
