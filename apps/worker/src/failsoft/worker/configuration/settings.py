"""The settings; no other module reads the environment."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, cast

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    Field,
    PlainValidator,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from failsoft.dispatcher.plugins.discovery import EngineName, check_names
from failsoft.dispatcher.plugins.urls import begins_with, port_or_default
from failsoft.job_engine.errors import ConfigurationError
from failsoft.job_engine.policies.queue import DEFAULT_NAMESPACE
from failsoft.job_engine.values.redaction import redacted_url
from failsoft.worker.configuration.engine_settings import read_engine, variables_model
from failsoft.worker.configuration.files import SettingsFromFiles
from failsoft.worker.configuration.ledgers import namespace_of, read_ledgers
from failsoft.worker.configuration.notifications import Notifications, read_notifications
from failsoft.worker.configuration.report import SettingSource, explain, provenance
from failsoft.worker.configuration.slots import read_slots
from failsoft.worker.configuration.unknown_variables import unknown_settings
from failsoft.worker.health.address import Address, read_address

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


def read_engine_names(value: Any) -> Any:
    """Read names of engines that are separated by commas; what is no text or list stays as it is.

    Raises:
        ValueError: A name is none, there is no name, or two are the same.
    """
    if not isinstance(value, str | list | tuple):
        return value
    texts = _names(value)
    if not texts:
        raise ValueError(
            f"expected at least one engine, as in {','.join(DEFAULT_ENGINES)}, got none"
        )
    names = [each if isinstance(each, EngineName) else EngineName.parse(each) for each in texts]
    check_names(names)
    return names


def _or_off(value: Any) -> Any:
    return None if isinstance(value, str) and value.strip().lower() == "off" else _duration(value)


def _above_zero(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError(f"expected a duration above zero, got {value.total_seconds():g}s")
    return value


def _span(value: Any) -> timedelta:
    if not isinstance(value, str):
        raise ValueError(f"expected a duration like 25s, 10m or 1h30m, got {value!r}")  # noqa: TRY004 - pydantic's
    read: timedelta = _duration(value)
    return _above_zero(read)


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


#: The engines where no others are named.
DEFAULT_ENGINES = ("rq", "dramatiq")

#: The default ledger, below the folder that a program is started in.
DEFAULT_LEDGER = Path(".failsoft/ledger.db")

_SQLITE_PATH = re.compile(r"sqlite(?:\+pysqlite)?:///(.+)")
_SQLITE = re.compile(r"(sqlite(?:\+pysqlite)?:///)(?![/:])(.+)")


def _with_whole_path(url: str) -> str:
    """Make the path of a SQLite URL absolute: a job may change the working directory."""
    found = _SQLITE.fullmatch(url)
    return f"{found[1]}{Path.cwd() / found[2]}" if found else url


Duration = Annotated[timedelta, BeforeValidator(_duration), AfterValidator(_above_zero)]
#: A duration, or None for `off`.
DurationOrOff = Annotated[
    timedelta | None,
    BeforeValidator(_or_off),
    AfterValidator(lambda value: None if value is None else _above_zero(value)),
]
#: A host and a port to listen on.
ListenAddress = Annotated[Address | None, NoDecode, BeforeValidator(read_address)]
EngineNames = Annotated[tuple[EngineName, ...], NoDecode, BeforeValidator(read_engine_names)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]
LedgersByName = Annotated[dict[str, str], NoDecode, BeforeValidator(read_ledgers)]
SlotsByQueue = Annotated[dict[str, int], NoDecode, BeforeValidator(read_slots)]
#: Channels and rules; from a file of its own where the setting is empty.
Notify = Annotated[
    Notifications, NoDecode, PlainValidator(lambda value: read_notifications(value, _span))
]
Secrets = Annotated[dict[str, SecretStr], NoDecode, BeforeValidator(_json_object)]


def _is_postgresql(url: str) -> bool:
    return url.startswith("postgres")


def _url(default: str, *variables: str) -> Any:
    # Kept out of the repr, because it may hold a password.
    return Field(default=default, validation_alias=AliasChoices(*variables), repr=False)


class Settings(SettingsFromFiles):
    """The settings of the environment; a prefixed variable wins over the generic one.

    Each can be in a file instead, as `FAILSOFT_LEDGER_URL_FILE`.

    Attributes:
        use_rq: Whether the engine `rq` gets offers at all: short for `engines_off=rq`.
        ledger_url: The ledger's database.
        ledger_read_url: A PostgreSQL replica of it that the console's pages are read from while it
            follows closely (docs/how-to/scale.md).
        ledgers: Several ledgers in its place, as `a=URL,b=URL`: the `shard` of a dispatch decides
            which one records the job. The queues of each begin with `namespace` and its name.
        ledger_name: Which of them this process works on.
        ledger_timeout: How long one call of the ledger may take, whatever its server does.
        ledger_pool: The most connections of a process to PostgreSQL, besides two that calls
            within calls may need; depends on the kind of process where absent.
        jobs: Modules that hold the jobs.
        callables: Modules whose functions jobs from RQ may name by path, and which declare the
            actors and tasks of Dramatiq and Celery (docs/how-to/migrate-from-rq.md).
        namespace: Prefixed to every queue name on both engines.
        engines: The engines in order of preference, as `rq,dramatiq`; `eu=rq` is one of the kind
            `rq` that is called `eu`. Each has settings of its own besides
            (docs/reference/engines.md).
        engines_off: Engines that get no offers from processes with these settings.
        dispatch_budget: How long the offers of a dispatch may take.
        shutdown_grace: How long a stopping worker waits for its attempts.
        lease: The lease of every queue, instead of the profiles'; a shorter one shortens the time
            until another worker takes over.
        slots: How many attempts a worker process runs side by side, instead of the profiles': a
            number for every queue, or `default=4,data-sync=1`.
        worker_beat: The interval of a worker's heartbeats.
        worker_ttl: How long a worker counts as live after a heartbeat.
        health: The address on which a supervisor answers probes, as `0.0.0.0:8081`; none where
            absent (docs/how-to/deploy.md).
        maintenance_every: The pause between two rounds of maintenance.
        prune: How often ended jobs whose retention is over are pruned; `off` for never.
        probe_every: The pause between two probes of a failed engine.
        healthy_probes: How many healthy probes in a row return it to service.
        min_open: The shortest time that a failed engine gets no offers.
        ramp: How long its share of offers then takes to grow to all.
        log_format: `console` for a terminal, `json` for programs, `auto` by standard error.
        log_level: The lowest level that is logged.
        otel: Whether this process is traced by OpenTelemetry (docs/how-to/traces.md).
        webhook_secrets: Signing secrets by name, as a JSON object.
        webhook_allow_private: Whether webhooks may go to private addresses.
        webhook_timeout: How long a webhook's receiver may take.
        notify: Who is told of what, as a JSON object of `channels` and `notify`; what
            `failsoft.toml` says where absent (docs/how-to/notifications.md).
        import_url: The database that `import_csv` writes to; the ledger's where absent.
        import_folder: The only folder from which it reads files; where absent it reads only URLs.
        import_allow_private: Whether its URLs may lead to private addresses.
        import_timeout: How long a server may take for each part of a file.
        console: Whether there is a web console; where absent, under `failsoft dev` and
            `failsoft console` alone.
        console_users: Who may log in there, as `ada:HASH:admin,...`; `failsoft console hash`
            prints an entry.
        console_tokens: The tokens of programs, in the same form.
        console_payloads: What it shows of payloads: `redacted`, `hidden` or `full`.
        console_title: What it is of, shown beside its name.
        console_log_url: The address of a job's log lines, with `{job_id}` in it.
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
    ledger_url: str = _url(f"sqlite:///{DEFAULT_LEDGER}", "FAILSOFT_LEDGER_URL", "DATABASE_URL")
    ledger_read_url: str = _url("", "FAILSOFT_LEDGER_READ_URL")
    ledgers: LedgersByName = Field(default={}, repr=False)
    ledger_name: str = ""
    ledger_timeout: Duration = timedelta(seconds=5)
    ledger_pool: int | None = Field(default=None, ge=1, le=1000)
    jobs: Names = ()
    callables: Names = ()
    namespace: str = Field(default=DEFAULT_NAMESPACE, pattern=r"^[a-z0-9-]{0,32}$")
    engines: EngineNames = tuple(map(EngineName.parse, DEFAULT_ENGINES))
    engines_off: Names = ()
    dispatch_budget: Duration = timedelta(seconds=1)
    shutdown_grace: Duration = timedelta(seconds=25)
    lease: Duration | None = None
    slots: SlotsByQueue = Field(default={})
    worker_beat: Duration = timedelta(seconds=2)
    worker_ttl: Duration = timedelta(seconds=10)
    health: ListenAddress = None
    maintenance_every: Duration = timedelta(seconds=1)
    prune: DurationOrOff = timedelta(hours=1)
    probe_every: Duration = timedelta(seconds=1)
    healthy_probes: int = Field(default=3, ge=1)
    min_open: Duration = timedelta(seconds=2)
    ramp: Annotated[timedelta, BeforeValidator(_duration)] = timedelta(seconds=10)
    log_format: Literal["auto", "console", "json"] = "auto"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    otel: bool = False
    webhook_secrets: Secrets = Field(default={}, repr=False)
    webhook_allow_private: bool = False
    webhook_timeout: Duration = timedelta(seconds=15)
    notify: Notify = Field(default=cast("Notifications", ""), repr=False)
    import_url: str = _url("", "FAILSOFT_IMPORT_URL")
    import_folder: Path | None = None
    import_allow_private: bool = False
    import_timeout: Duration = timedelta(seconds=30)
    console: bool | None = None
    console_users: SecretStr = SecretStr("")
    console_tokens: SecretStr = SecretStr("")
    console_payloads: Literal["redacted", "hidden", "full"] = "redacted"
    console_title: str = Field(default="", max_length=60)
    console_log_url: str = Field(default="", pattern=r"^$|^https?://\S+$")
    smtp_host: str = Field(default="localhost", validation_alias="SMTP_HOST")
    smtp_port: Annotated[int, BeforeValidator(port_or_default)] = Field(
        default=25, ge=1, le=65535, validation_alias="SMTP_PORT"
    )
    smtp_tls: Literal["none", "starttls", "tls"] = Field(
        default="none", validation_alias="SMTP_TLS"
    )
    smtp_username: str = Field(default="", validation_alias="SMTP_USERNAME")
    smtp_password: SecretStr = Field(default=SecretStr(""), validation_alias="SMTP_PASSWORD")
    smtp_sender: str = Field(default="", validation_alias="SMTP_SENDER")
    smtp_timeout: Duration = Field(default=timedelta(seconds=30), validation_alias="SMTP_TIMEOUT")
    _of_engines: dict[str, BaseModel] = PrivateAttr(default_factory=dict)
    _given: dict[str, dict[str, Any]] = PrivateAttr(default_factory=dict)
    _namespace: str = PrivateAttr(default="")

    @field_validator("ledger_url", "import_url")
    @classmethod
    def _name_whole_path(cls, url: str) -> str:
        return _with_whole_path(url)

    @field_validator("ledgers")
    @classmethod
    def _name_whole_paths(cls, ledgers: dict[str, str]) -> dict[str, str]:
        return {name: _with_whole_path(url) for name, url in ledgers.items()}

    @field_validator("import_folder")
    @classmethod
    def _name_whole_folder(cls, folder: Path | None) -> Path | None:
        return None if folder is None else folder.absolute()

    @field_validator("ledger_url", "import_url")
    @classmethod
    def _check_database_scheme(cls, url: str) -> str:
        # A driver is accepted, as in an application's own URL; the ledger uses its own.
        known = ("sqlite://", "sqlite+", "postgresql://", "postgresql+", "postgres://")
        return begins_with(known, url) if url else url

    @model_validator(mode="after")
    def _check_engines_off(self) -> Self:
        unknown = [name for name in self.engines_off if name not in self.engine_names]
        if unknown:
            raise ValueError(
                f"expected engines of FAILSOFT_ENGINES ({', '.join(self.engine_names)}) in "
                f"FAILSOFT_ENGINES_OFF, got {', '.join(unknown)}"
            )
        return self

    @model_validator(mode="after")
    def _check_replica(self) -> Self:
        url = self.ledger_read_url
        if url and (self.ledgers or not all(map(_is_postgresql, (url, self.ledger_url)))):
            raise ValueError(
                "expected FAILSOFT_LEDGER_READ_URL beside one ledger on PostgreSQL, of which it "
                f"names a replica, got {redacted_url(url)!r} "
                f"beside {'FAILSOFT_LEDGERS' if self.ledgers else redacted_url(self.ledger_url)!r}"
            )
        return self

    @model_validator(mode="after")
    def _check_secrets_of_channels(self) -> Self:
        for name, channel in self.notify.channels.items():
            secret = getattr(channel, "secret", None)
            if secret is not None and secret not in self.webhook_secrets:
                known = ", ".join(self.webhook_secrets) or "none there"
                raise ValueError(
                    f"expected the secret of channel {name} in FAILSOFT_WEBHOOK_SECRETS ({known}), "
                    f"got {secret!r}"
                )
        return self

    @model_validator(mode="after")
    def _choose_ledger(self) -> Self:
        self._namespace = self.namespace
        for name in self.ledgers:
            namespace_of(self.namespace, name)
        if self.ledger_name:
            if self.ledger_name not in self.ledgers:
                known = ", ".join(self.ledgers) or "none there"
                raise ValueError(
                    f"expected FAILSOFT_LEDGER_NAME to be one of FAILSOFT_LEDGERS ({known}), got "
                    f"{self.ledger_name}"
                )
            # Not by assignment, which would validate again.
            vars(self).update(self._of_ledger(self.ledger_name))
        return self

    def _of_ledger(self, name: str) -> dict[str, Any]:
        namespace = namespace_of(self._namespace, name)
        return {"ledger_name": name, "ledger_url": self.ledgers[name], "namespace": namespace}

    def of_ledger(self, name: str) -> Self:
        """Return these settings for a process that works on one of `ledgers`."""
        return self.model_copy(update=self._of_ledger(name))

    def by_ledger(self) -> Sequence[Self]:
        """Return the settings for each ledger that this process is to work on."""
        if self.ledger_name or not self.ledgers:
            return (self,)
        return [self.of_ledger(name) for name in self.ledgers]

    @property
    def engine_names(self) -> tuple[str, ...]:
        """Return what the engines are called, in order of preference."""
        return tuple(engine.name for engine in self.engines)

    @property
    def disabled(self) -> Mapping[str, str]:
        """Return the engines that get no offers by these settings, each with the reason."""
        off = dict.fromkeys(self.engines_off, "FAILSOFT_ENGINES_OFF")
        by_flag = {} if self.use_rq or "rq" not in self.engine_names else {"rq": "USE_RQ"}
        return by_flag | off

    def of_engine(self, name: str) -> BaseModel:
        """Return the settings of an engine.

        Raises:
            ConfigurationError: One is wrong, or the engine cannot be imported.
        """
        if name not in self._of_engines:
            engine = next(each for each in self.engines if each.name == name)
            self._of_engines[name] = read_engine(engine, **self._given.get(name, {}))
        return self._of_engines[name]

    def give_engine(self, name: str, given: Mapping[str, Any]) -> None:
        """Read the settings of an engine, of which those that are given beat the environment.

        Raises:
            ConfigurationError: One is wrong, or the engine cannot be imported.
        """
        self._given[name] = dict(given)
        self.of_engine(name)

    def engine_models(self) -> Mapping[str, type[BaseSettings]]:
        """Return what reads the settings of each engine that can be imported, by its name."""
        return dict(_engine_models(self))

    def sources(self) -> list[SettingSource]:
        """Return every setting, and those of each engine, with its value and where it is from."""
        engines = (cast("BaseSettings", self.of_engine(name)) for name in self.engine_names)
        return [found for each in (self, *engines) for found in provenance(each)]

    def for_child(self) -> Self:
        """Return the settings for a child process, which imports no engine before it uses one."""
        copied = self.model_copy()
        copied._given = {name: read.model_dump() for name, read in self._of_engines.items()}  # noqa: SLF001 - its own
        copied._of_engines = {}  # noqa: SLF001 - its own
        return copied

    @property
    def offered_engines(self) -> tuple[str, ...]:
        """Return the engines that get offers, in order of preference."""
        return tuple(name for name in self.engine_names if name not in self.disabled)


def load_settings(**given: Any) -> Settings:
    """Read the settings, and those of each engine, from the environment and `.env`.

    Args:
        given: Settings that beat the environment: fields of `Settings`, and of the settings of
            engines that have no alias, as `redis_url`.

    Raises:
        ConfigurationError: If a setting is wrong or unknown; the message names each, and what was
            expected.
    """
    own = {name: given[name] for name in given if name in {*Settings.model_fields, "_env_file"}}
    try:
        settings = Settings(**own)
    except ValidationError as error:
        wrong = [*unknown_settings(Settings, {}), explain(Settings, error)]
        raise ConfigurationError("; ".join(wrong)) from None
    wrong = unknown_settings(Settings, settings.engine_models())
    wrong += _read_engines(settings, {name: given[name] for name in given if name not in own})
    if wrong:
        raise ConfigurationError("; ".join(wrong))
    return settings


def _engine_models(settings: Settings) -> Iterator[tuple[str, type[BaseSettings]]]:
    for engine in settings.engines:
        with suppress(ConfigurationError):  # said where its settings are read
            yield engine.name, variables_model(engine)


def _read_engines(settings: Settings, given: Mapping[str, Any]) -> list[str]:
    wrong, left = list[str](), set(given)
    for engine in settings.engines:
        try:
            fields = variables_model(engine).model_fields.keys()
            own = given.keys() & fields if engine.name == engine.kind else set[str]()
            left -= own
            settings.give_engine(engine.name, {name: given[name] for name in own})
        except ConfigurationError as error:
            wrong.append(str(error))
    if left and not wrong:
        raise TypeError(f"expected settings, got {', '.join(sorted(left))}")
    return wrong


_adopted: list[Settings] = []


def adopt(settings: Settings) -> None:
    """Make these the settings of this process, however its jobs change the environment."""
    _adopted[:] = [settings]


@contextmanager
def adopted(settings: Settings) -> Iterator[None]:
    """Make these the settings of this process for a while, as of one of its commands."""
    before = list(_adopted)
    adopt(settings)
    try:
        yield
    finally:
        _adopted[:] = before


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
