"""`failsoft console`."""

import secrets
import sys
import webbrowser

import click

from failsoft.job_engine.errors import ConfigurationError
from failsoft.worker.cli.options import json_option
from failsoft.worker.cli.output import may_be_lost, print_json, say
from failsoft.worker.configuration.ledgers import expect_one
from failsoft.worker.configuration.settings import adopted, load_settings
from failsoft.worker.console_server import address_of, console_application, listening, serve


@click.group(invoke_without_command=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option(
    "--port", default=8642, show_default=True, type=click.IntRange(0, 65535), help="Its port."
)
@click.option("--path", default="/", show_default=True, help="The path that it is served below.")
@click.option("--read-only", is_flag=True, help="Let nobody change anything.")
@click.option("--open", "opens", is_flag=True, help="Open it in a browser.")
@json_option
@click.pass_context
def console(
    context: click.Context,
    *,
    host: str,
    port: int,
    path: str,
    read_only: bool,
    opens: bool,
    as_json: bool,
) -> None:
    """Serve the web console: jobs, queues, workers and engines, and what is done about them.

    Without FAILSOFT_CONSOLE_USERS and FAILSOFT_CONSOLE_TOKENS it is for this machine alone, to
    look and to change nothing. Ends with 78 if it is to listen elsewhere and nobody is named.
    """
    if context.invoked_subcommand is not None:
        return
    settings = load_settings()
    expect_one(settings.ledgers, settings.ledger_name)
    if settings.console is False:
        raise ConfigurationError("expected FAILSOFT_CONSOLE to be true or absent, got false")
    click.get_current_context().with_resource(adopted(settings))
    app = console_application(settings, host, path, read_only=read_only)
    with listening(host, port) as listener:
        address = address_of(host, listener.getsockname()[1], path)
        with may_be_lost():
            if as_json:
                print_json({"url": address})
            else:
                say(f"console: {address}  (Ctrl-C stops)")
        if opens:
            webbrowser.open(address)
        serve(app, listener)


@console.command("hash")
@click.option("--token", is_flag=True, help="Make a token for a program instead.")
@click.option("--name", default="NAME", help="The name of the user or of the program.")
@click.option(
    "--role",
    default="viewer",
    show_default=True,
    type=click.Choice(["viewer", "operator", "admin"]),
    help="What they may do.",
)
def hash_command(*, token: bool, name: str, role: str) -> None:
    """Print an entry of FAILSOFT_CONSOLE_USERS; reads the password from the terminal or stdin."""
    from failsoft.console.access.secrets import PasswordHash, token_hash  # noqa: PLC0415 - optional

    if token:
        made = secrets.token_urlsafe(32)
        say(f"the token, shown once: {made}", err=True)
        say(f"{name}:{token_hash(made)}:{role}")
        return
    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\n")
    if not password:
        raise click.UsageError("expected a password, got none")
    say(f"{name}:{PasswordHash.of(password)}:{role}")
