"""The settings; no other module reads the environment."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_core import PydanticUseDefault
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from failsoft.job_engine.errors import ConfigurationError
from failsoft.job_engine.policies.queue import DEFAULT_NAMESPACE
from failsoft.job_engine.values.redaction import scheme_of
from failsoft.worker.configuration.report import explain
from failsoft.worker.configuration.slots import read_slots
from failsoft.worker.configuration.unknown_variables import unknown_settings

_DURATION = re.compile(
    r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?"
)
_UNITS = ("hours", "minutes", "seconds", "milliseconds")


def _duration(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    found = _DURATION.fullmatch(value.strip())
    if found is None or not any(found.groups()):
        raise ValueError(f"expected a duration like 500ms, 25s, 10m or 1h30m, got {value!r}")
    parts = zip(_UNITS, found.groups(), strict=True)
    return timedelta(**{unit: float(number) for unit, number in parts if number})


def _or_off(value: Any) -> Any:
    return None if isinstance(value, str) and value.strip().lower() == "off" else _duration(value)


def _above_zero(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError(f"expected a duration above zero, got {value.total_seconds():g}s")
    return value


def _names(value: Any) -> Any:
    return (
        [name.strip() for name in value.split(",") if name.strip()]
        if isinstance(value, str)
        else value
    )


def _json_object(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError("expected a JSON object, got something else") from None


#: The default ledger, below the folder that a program is started in.
DEFAULT_LEDGER = Path(".failsoft/ledger.db")

_SQLITE_PATH = re.compile(r"sqlite(?:\+pysqlite)?:///(.+)")
_SQLITE = re.compile(r"(sqlite(?:\+pysqlite)?:///)(?![/:])(.+)")


def _with_whole_path(url: str) -> str:
    """Make the path of a SQLite URL absolute: a job may change the working directory."""
    found = _SQLITE.fullmatch(url)
    return f"{found[1]}{Path.cwd() / found[2]}" if found else url


def _port(value: Any) -> Any:
    # Kubernetes sets REDIS_PORT=tcp://10.0.0.1:6379 for a service named `redis`.
    if isinstance(value, str) and "://" in value:
        raise PydanticUseDefault
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration), AfterValidator(_above_zero)]
#: A duration, or None for `off`.
DurationOrOff = Annotated[
    timedelta | None,
    BeforeValidator(_or_off),
    AfterValidator(lambda value: None if value is None else _above_zero(value)),
]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]
SlotsByQueue = Annotated[dict[str, int], NoDecode, BeforeValidator(read_slots)]
Secrets = Annotated[dict[str, SecretStr], NoDecode, BeforeValidator(_json_object)]


def _url(default: str, *variables: str) -> Any:
    # Kept out of the repr, because it may hold a password.
    return Field(default=default, validation_alias=AliasChoices(*variables), repr=False)


def _begins_with(known: tuple[str, ...], url: str) -> str:
    if not url.startswith(known):
        scheme = scheme_of(url)
        got = f"one that begins with {scheme}" if scheme else "one without a scheme"
        raise ValueError(f"expected a URL that begins with one of {', '.join(known)}, got {got}")
    return url


class Settings(BaseSettings):
    """The settings of the environment; a prefixed variable wins over the generic one.

    Attributes:
        use_rq: Whether RQ gets offers; otherwise every job goes to Dramatiq.
        redis_url: RQ's Redis or Valkey.
        redis_host: Used with `redis_port` where there is no `REDIS_URL`.
        redis_port: See `redis_host`.
        amqp_url: Dramatiq's broker: `amqp://` for RabbitMQ, `redis://` for a second Redis.
        ledger_url: The ledger's database.
        ledger_timeout: How long one call of the ledger may take, whatever its server does.
        ledger_pool: The most connections of a process to PostgreSQL, besides two that calls
            within calls may need; depends on the kind of process where absent.
        jobs: Modules that hold the jobs.
        namespace: Prefixed to every queue name on both engines.
        engines: The engines in order of preference.
        dispatch_budget: How long the offers of a dispatch may take.
        shutdown_grace: How long a stopping worker waits for its attempts.
        lease: The lease of every queue, instead of the profiles'; a shorter one shortens the time
            until another worker takes over.
        slots: How many attempts a worker process runs side by side, instead of the profiles': a
            number for every queue, or `default=4,data-sync=1`.
        worker_beat: The interval of a worker's heartbeats.
        worker_ttl: How long a worker counts as live after a heartbeat.
        maintenance_every: The pause between two rounds of maintenance.
        prune: How often ended jobs whose retention is over are pruned; `off` for never.
        probe_every: The pause between two probes of a failed engine.
        healthy_probes: How many healthy probes in a row return it to service.
        min_open: The shortest time that a failed engine gets no offers.
        ramp: How long its share of offers then takes to grow to all.
        log_format: `console` for a terminal, `json` for programs, `auto` by standard error.
        log_level: The lowest level that is logged.
        webhook_secrets: Signing secrets by name, as a JSON object.
        webhook_allow_private: Whether webhooks may go to private addresses.
        webhook_timeout: How long a webhook's receiver may take.
        import_url: The database that `import_csv` writes to; the ledger's where absent.
        import_folder: The only folder from which it reads files; where absent it reads only URLs.
        import_allow_private: Whether its URLs may lead to private addresses.
        import_timeout: How long a server may take for each part of a file.
        smtp_host: The mail server.
        smtp_port: Its port.
        smtp_tls: `none`, `starttls` or `tls`.
        smtp_username: The user of its login; empty for no login.
        smtp_password: The password of its login.
        smtp_sender: The sender of mails whose payload names none.
        smtp_timeout: How long the mail server may take for each reply.
    """

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_prefix="FAILSOFT_",
        env_file=".env",
        extra="ignore",
        populate_by_name=True,
        validate_default=True,
    )

    use_rq: bool = Field(default=True, validation_alias=AliasChoices("FAILSOFT_USE_RQ", "USE_RQ"))
    redis_url: str = _url("", "FAILSOFT_REDIS_URL", "REDIS_URL")
    redis_host: str = Field(default="localhost", validation_alias="REDIS_HOST")
    redis_port: Annotated[int, BeforeValidator(_port)] = Field(
        default=6379, ge=1, le=65535, validation_alias="REDIS_PORT"
    )
    amqp_url: str = _url(
        "amqp://guest:guest@localhost:5672/%2F",
        *("FAILSOFT_AMQP_URL", "AMQP_URL", "CLOUDAMQP_URL", "RABBITMQ_URL"),
    )
    ledger_url: str = _url(f"sqlite:///{DEFAULT_LEDGER}", "FAILSOFT_LEDGER_URL", "DATABASE_URL")
    ledger_timeout: Duration = timedelta(seconds=5)
    ledger_pool: int | None = Field(default=None, ge=1, le=1000)
    jobs: Names = ()
    namespace: str = Field(default=DEFAULT_NAMESPACE, pattern=r"^[a-z0-9-]{0,32}$")
    engines: Names = ("rq", "dramatiq")
    dispatch_budget: Duration = timedelta(seconds=1)
    shutdown_grace: Duration = timedelta(seconds=25)
    lease: Duration | None = None
    slots: SlotsByQueue = {}
    worker_beat: Duration = timedelta(seconds=2)
    worker_ttl: Duration = timedelta(seconds=10)
    maintenance_every: Duration = timedelta(seconds=1)
    prune: DurationOrOff = timedelta(hours=1)
    probe_every: Duration = timedelta(seconds=1)
    healthy_probes: int = Field(default=3, ge=1)
    min_open: Duration = timedelta(seconds=2)
    ramp: Annotated[timedelta, BeforeValidator(_duration)] = timedelta(seconds=10)
    log_format: Literal["auto", "console", "json"] = "auto"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    webhook_secrets: Secrets = Field(default={}, repr=False)
    webhook_allow_private: bool = False
    webhook_timeout: Duration = timedelta(seconds=15)
    import_url: str = _url("", "FAILSOFT_IMPORT_URL")
    import_folder: Path | None = None
    import_allow_private: bool = False
    import_timeout: Duration = timedelta(seconds=30)
    smtp_host: str = Field(default="localhost", validation_alias="SMTP_HOST")
    smtp_port: Annotated[int, BeforeValidator(_port)] = Field(
        default=25, ge=1, le=65535, validation_alias="SMTP_PORT"
    )
    smtp_tls: Literal["none", "starttls", "tls"] = Field(
        default="none", validation_alias="SMTP_TLS"
    )
    smtp_username: str = Field(default="", validation_alias="SMTP_USERNAME")
    smtp_password: SecretStr = Field(default=SecretStr(""), validation_alias="SMTP_PASSWORD")
    smtp_sender: str = Field(default="", validation_alias="SMTP_SENDER")
    smtp_timeout: Duration = Field(default=timedelta(seconds=30), validation_alias="SMTP_TIMEOUT")

    @field_validator("ledger_url", "import_url")
    @classmethod
    def _name_whole_path(cls, url: str) -> str:
        return _with_whole_path(url)

    @field_validator("import_folder")
    @classmethod
    def _name_whole_folder(cls, folder: Path | None) -> Path | None:
        return None if folder is None else folder.absolute()

    @field_validator("redis_url")
    @classmethod
    def _check_redis_scheme(cls, url: str) -> str:
        known = ("redis://", "rediss://", "unix://", "redis+sentinel://", "rediss+sentinel://")
        return _begins_with(known, url) if url else url

    @field_validator("amqp_url")
    @classmethod
    def _check_broker_scheme(cls, url: str) -> str:
        return _begins_with(("amqp://", "amqps://", "redis://", "rediss://"), url)

    @field_validator("ledger_url", "import_url")
    @classmethod
    def _check_database_scheme(cls, url: str) -> str:
        # A driver is accepted, as in an application's own URL; the ledger uses its own.
        known = ("sqlite://", "sqlite+", "postgresql://", "postgresql+", "postgres://")
        return _begins_with(known, url) if url else url

    @field_validator("engines")
    @classmethod
    def _check_engines(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not names:
            raise ValueError("expected at least one engine, as in rq,dramatiq, got none")
        return names

    @property
    def primary_url(self) -> str:
        """Return the URL of RQ's Redis."""
        return self.redis_url or f"redis://{self.redis_host}:{self.redis_port}/0"

    @property
    def offered_engines(self) -> tuple[str, ...]:
        """Return the engines that get offers, in order of preference: without RQ if disabled."""
        return tuple(name for name in self.engines if self.use_rq or name != "rq")


def load_settings(**overrides: Any) -> Settings:
    """Read the settings from the environment and `.env`; arguments win.

    Raises:
        ConfigurationError: If a setting is wrong or unknown; the message names each, and what was
            expected.
    """
    wrong = unknown_settings(Settings)
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        raise ConfigurationError("; ".join([*wrong, explain(Settings, error)])) from None
    if wrong:
        raise ConfigurationError("; ".join(wrong))
    return settings


_adopted: list[Settings] = []


def adopt(settings: Settings) -> None:
    """Make these the settings of this process, however its jobs change the environment."""
    _adopted[:] = [settings]


def process_settings() -> Settings:
    """Return the settings that this process adopted, or those of the environment.

    Raises:
        ConfigurationError: If any is wrong.
    """
    return _adopted[0] if _adopted else load_settings()


def ledger_folder(url: str) -> Path | None:
    """Return the folder of the default SQLite ledger, the only one that an upgrade makes."""
    found = _SQLITE_PATH.fullmatch(url)
    path = Path(found[1]) if found else None
    return path.parent if path is not None and path.parts[-2:] == DEFAULT_LEDGER.parts else None
