"""`failsoft console`."""

import ipaddress
import secrets
import socket
import sys
import webbrowser
from typing import Any

import click

from failsoft.job_engine.errors import ConfigurationError
from failsoft.worker.cli.options import json_option
from failsoft.worker.cli.output import may_be_lost, print_json, say
from failsoft.worker.configuration.ledgers import expect_one
from failsoft.worker.configuration.settings import adopt, load_settings

#: How long open requests may take once the console is to stop, in seconds.
DRAIN_SECONDS = 5


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
    adopt(settings)
    app = _application(settings, host, path, read_only=read_only)
    with _listening(host, port) as listener:
        address = f"http://{_shown(host)}:{listener.getsockname()[1]}{_prefix(path)}/"
        with may_be_lost():
            if as_json:
                print_json({"url": address})
            else:
                say(f"console: {address}  (Ctrl-C stops)")
        if opens:
            webbrowser.open(address)
        _serve(app, listener)


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


def _application(settings: Any, host: str, path: str, *, read_only: bool) -> Any:
    try:
        from failsoft.console import console as make  # noqa: PLC0415 - an extra of the distribution
        from failsoft.worker.console_environment import own_environment  # noqa: PLC0415 - see above
    except ImportError:
        raise ConfigurationError(
            "expected the console to be installed, got no failsoft.console; "
            "run `pip install failsoft[console]`"
        ) from None
    environment = own_environment(settings, read_only=read_only, behind_proxy=read_only)
    is_named = bool(environment.settings.users)
    if not _is_loopback(host) and not is_named and not read_only:
        raise ConfigurationError(
            f"expected users, tokens or --read-only with a proxy to listen at {host}, got none; "
            "set FAILSOFT_CONSOLE_USERS to what `failsoft console hash` prints"
        )
    if _is_loopback(host) and not is_named:
        environment = own_environment(settings, read_only=read_only, behind_proxy=False)
    prefix = _prefix(path)
    app = make(environment=environment)
    if not prefix:
        return app
    from starlette.applications import Starlette  # noqa: PLC0415 - see above
    from starlette.routing import Mount  # noqa: PLC0415 - see above

    return Starlette(routes=[Mount(prefix, app)])


def _serve(app: Any, listener: socket.socket) -> None:
    import uvicorn  # noqa: PLC0415 - an extra of the distribution

    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        lifespan="off",
    )
    uvicorn.Server(config).run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"expected an address that is free, got {host}:{port}: {error.strerror or error}"
        ) from None
    return listener


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _prefix(path: str) -> str:
    stripped = path.strip("/")
    return f"/{stripped}" if stripped else ""


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
