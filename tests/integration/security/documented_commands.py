"""The commands of `docs/explain/security.md`, as an administrator would give them."""

import shlex
from pathlib import Path

import psycopg

from tests.servers.rabbitmq import RabbitMQ
from tests.servers.valkey import Valkey

PAGE = Path(__file__).parents[3] / "docs" / "explain" / "security.md"
DISPATCHER, WORKER = "failsoft-dispatcher", "failsoft-worker"
PASSWORDS = {DISPATCHER: "DISPATCHER-PASSWORD", WORKER: "WORKER-PASSWORD"}


def commands(section: str, beginning: str) -> list[str]:
    """Return the lines of one section's code blocks that begin so."""
    text = PAGE.read_text().partition(f"## {section}\n")[2].partition("\n## ")[0]
    found = [line for line in text.splitlines() if line.startswith(beginning)]
    assert found, f"expected {beginning} … under {section!r} in {PAGE.name}"
    return found


def make_redis_users(server: Valkey, section: str) -> dict[str, str]:
    """Make the users of a section, and return the address of each."""
    for line in commands(section, "ACL SETUSER"):
        server.command(*line.split())
    return {name: _as(server.url, name) for name in PASSWORDS}


def make_rabbitmq_users(server: RabbitMQ, vhost: str, url: str) -> dict[str, str]:
    """Make both users, permit what the page says, and return the address of each."""
    for name, password in PASSWORDS.items():
        server.add_user(name, password)
    for line in commands("RabbitMQ, for Dramatiq", "rabbitmqctl set_permissions"):
        *_, user, configure, write, read = shlex.split(line)
        server.permit(user, vhost, configure=configure, write=write, read=read)
    return {name: _as(url.replace("guest:guest@", ""), name) for name in PASSWORDS}


def delete_rabbitmq_users(server: RabbitMQ) -> None:
    for name in PASSWORDS:
        server.delete_user(name)


def make_postgresql_user(url: str) -> str:
    """Make the user that owns nothing, and return its address."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE ROLE failsoft LOGIN")
        for line in commands("PostgreSQL, for the ledger", "GRANT"):
            connection.execute(line.encode())
    return url.replace("postgres@", "failsoft@")


def drop_postgresql_user(url: str) -> None:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("DROP OWNED BY failsoft")
        connection.execute("DROP ROLE failsoft")


def _as(url: str, user: str) -> str:
    return url.replace("://", f"://{user}:{PASSWORDS[user]}@")
