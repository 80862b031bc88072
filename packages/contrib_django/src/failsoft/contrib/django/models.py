"""The tables of the ledger as Django's models: to be read, where they are in Django's database."""

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from django.db import models

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class MomentField(models.BigIntegerField):  # type: ignore[type-arg]  # generic in stubs only
    """A moment that the ledger keeps as microseconds."""

    def from_db_value(self, value: int | None, *args: Any) -> datetime | None:
        """Return the moment."""
        return None if value is None else _EPOCH + timedelta(microseconds=value)


class Job(models.Model):
    """A job; its payload is the console's to show."""

    id: "models.CharField[str, str]" = models.CharField(max_length=64, primary_key=True)
    name: "models.CharField[str, str]" = models.CharField(max_length=128)
    queue: "models.CharField[str, str]" = models.CharField(max_length=64)
    state: "models.CharField[str, str]" = models.CharField(max_length=16)
    engine: "models.CharField[str | None, str | None]" = models.CharField(max_length=64, null=True)  # noqa: DJ001 - the ledger's
    priority: "models.IntegerField[int, int]" = models.IntegerField()
    tags: "models.TextField[str, str]" = models.TextField()
    claims: "models.IntegerField[int, int]" = models.IntegerField("attempts")
    errors: "models.IntegerField[int, int]" = models.IntegerField()
    handoffs: "models.IntegerField[int, int]" = models.IntegerField("hand-overs")
    error: "models.TextField[str | None, str | None]" = models.TextField(null=True)  # noqa: DJ001 - the ledger's
    created_at: MomentField = MomentField()
    run_at: MomentField = MomentField(null=True)
    started_at: MomentField = MomentField(null=True)
    finished_at: MomentField = MomentField(null=True)

    class Meta:
        """Read-only: the ledger's own tables."""

        managed = False
        db_table = "failsoft_jobs"
        default_permissions: ClassVar[tuple[str, ...]] = ("view",)
        permissions: ClassVar[list[tuple[str, str]]] = [
            ("act_job", "Can retry, cancel, replay and resolve jobs"),
            ("view_payload", "Can see and change payloads of jobs"),
        ]
        ordering: ClassVar[list[str]] = ["-id"]

    def __str__(self) -> str:
        return str(self.id)


class DeadLetter(Job):
    """A job that has failed, or is held until a person decides."""

    class Meta:  # pyright: ignore[reportIncompatibleVariableOverride]  # as Django has it
        """The same rows."""

        proxy = True
        default_permissions: ClassVar[tuple[str, ...]] = ("view",)
        verbose_name = "dead letter"


class Attempt(models.Model):
    """One execution of a job, on whichever engine."""

    claim_id: "models.CharField[str, str]" = models.CharField(max_length=64, primary_key=True)
    job_id: str
    job: "models.ForeignKey[Job, Job]" = models.ForeignKey(
        Job, models.DO_NOTHING, related_name="attempts"
    )
    epoch: "models.IntegerField[int, int]" = models.IntegerField()
    engine: "models.CharField[str, str]" = models.CharField(max_length=64)
    worker: "models.CharField[str, str]" = models.CharField(max_length=64)
    started_at: MomentField = MomentField()
    ended_at: MomentField = MomentField(null=True)
    outcome: "models.CharField[str | None, str | None]" = models.CharField(max_length=16, null=True)  # noqa: DJ001 - the ledger's
    error: "models.TextField[str | None, str | None]" = models.TextField(null=True)  # noqa: DJ001 - the ledger's

    class Meta:
        """Read-only: the ledger's own tables."""

        managed = False
        db_table = "failsoft_attempts"
        default_permissions: ClassVar[tuple[str, ...]] = ("view",)
        ordering: ClassVar[list[str]] = ["-job_id", "epoch"]

    def __str__(self) -> str:
        return f"{self.job_id}, epoch {self.epoch}"


class Worker(models.Model):
    """A worker process."""

    boot_id: "models.CharField[str, str]" = models.CharField(max_length=64, primary_key=True)
    engine: "models.CharField[str, str]" = models.CharField(max_length=64)
    queue: "models.CharField[str, str]" = models.CharField(max_length=64)
    host: "models.CharField[str, str]" = models.CharField(max_length=255)
    pid: "models.IntegerField[int, int]" = models.IntegerField()
    slots: "models.IntegerField[int, int]" = models.IntegerField()
    started_at: MomentField = MomentField()
    seen_at: MomentField = MomentField()
    live_until: MomentField = MomentField()

    class Meta:
        """Read-only: the ledger's own tables."""

        managed = False
        db_table = "failsoft_workers"
        default_permissions: ClassVar[tuple[str, ...]] = ("view",)
        ordering: ClassVar[list[str]] = ["engine", "queue"]

    def __str__(self) -> str:
        return str(self.boot_id)
