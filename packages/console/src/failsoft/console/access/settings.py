"""What the settings say about who may use the console."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from failsoft.console.access.roles import Actor
from failsoft.console.access.secrets import PasswordHash, check_token_hash
from failsoft.job_engine.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Users:
    """Who may log in.

    Attributes:
        passwords: By name: the hash of the password, and the actor.
        tokens: By hash of the token: the actor.
    """

    passwords: Mapping[str, tuple[PasswordHash, Actor]] = field(default_factory=dict)
    tokens: Mapping[str, Actor] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.passwords or self.tokens)

    @classmethod
    def read(cls, users: str, tokens: str) -> "Users":
        """Read `NAME:HASH:ROLE,...` of users and of tokens.

        Raises:
            ConfigurationError: An entry is none, a role is unknown, or a name stands twice.
        """
        passwords: dict[str, tuple[PasswordHash, Actor]] = {}
        for name, text, role in _entries("FAILSOFT_CONSOLE_USERS", users):
            if name in passwords:
                raise ConfigurationError(
                    f"FAILSOFT_CONSOLE_USERS: expected each name once, got {name!r} twice"
                )
            passwords[name] = PasswordHash.parse(text), Actor.of(name, role)
        by_token = {
            check_token_hash(text): Actor.of(name, role, by_token=True)
            for name, text, role in _entries("FAILSOFT_CONSOLE_TOKENS", tokens)
        }
        return cls(passwords, by_token)


def _entries(variable: str, text: str) -> list[tuple[str, str, str]]:
    found = []
    for place, entry in enumerate((each.strip() for each in text.split(",")), 1):
        if not entry:
            continue
        parts = entry.split(":")
        if len(parts) != 3:  # noqa: PLR2004 - name, hash and role
            # The entry itself may hold a password in clear text.
            raise ConfigurationError(
                f"{variable}: expected NAME:HASH:ROLE in entry {place}, got {len(parts)} parts; "
                "`failsoft console hash` prints an entry"
            )
        found.append((parts[0].strip(), parts[1].strip(), parts[2].strip()))
    return found
