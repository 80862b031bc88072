"""The admin: jobs, attempts, dead letters and workers, where the ledger is in Django's database."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db import connections, router, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse

from failsoft.api import FailsoftError
from failsoft.contrib.django.models import Attempt, DeadLetter, Job, Worker
from failsoft.contrib.django.transactions import shares_database
from failsoft.dispatcher import default_dispatcher

#: What is done to one job: its id, who did it, and the form.
Act = Callable[[str, str, Any], object]
Answer = HttpResponseBase | None

_LONGEST_ACTOR = 80


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in stubs only
    """Shows rows of the ledger, which only the ledger writes."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Return whether there is anything to see."""
        return super().has_module_permission(request) and self._is_here()

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether a user may look, and the rows are in Django's database."""
        return super().has_view_permission(request, obj) and self._is_here()

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return no: the ledger adds."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return no: the ledger changes."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return no: the ledger prunes."""
        return False

    def _is_here(self) -> bool:
        alias = router.db_for_read(self.model)
        try:
            with transaction.atomic(using=alias):
                return shares_database(connections[alias])
        except FailsoftError:
            # The ledger is away, or on SQLite without immediate transactions.
            return False


class AttemptInline(admin.TabularInline):  # type: ignore[type-arg]  # as above
    """The attempts of a job: each engine that it was on."""

    model = Attempt
    fields = ("epoch", "engine", "worker", "started_at", "ended_at", "outcome")
    readonly_fields = fields
    can_delete = False
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return no: the ledger adds."""
        return False


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    """Jobs, and what people do about them."""

    list_display: Any = (
        "id",
        "name",
        "queue",
        "state",
        "engine",
        "claims",
        "created_at",
    )
    list_filter = ("state", "engine", "queue")
    search_fields = ("id", "name", "tags")
    inlines = (AttemptInline,)
    actions = ("retry", "cancel", "replay", "resolve")
    show_full_result_count = False

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Return whether a user may act on jobs."""
        user: Any = request.user
        return bool(user.has_perm("failsoft.act_job"))

    @admin.action(description="Retry", permissions=["act"])
    def retry(self, request: HttpRequest, jobs: "QuerySet[Job]") -> Answer:
        """Do the work of failed jobs again."""

        def act(job_id: str, actor: str, form: Any) -> object:
            return default_dispatcher().retry(job_id, reason=form["reason"], actor=actor)

        return self._confirmed(request, jobs, "retry", act)

    @admin.action(description="Cancel", permissions=["act"])
    def cancel(self, request: HttpRequest, jobs: "QuerySet[Job]") -> Answer:
        """Cancel jobs that wait, and request those that run to stop."""

        def act(job_id: str, actor: str, form: Any) -> object:
            return default_dispatcher().cancel(job_id, actor=actor)

        return self._confirmed(request, jobs, "cancel", act)

    @admin.action(description="Replay from a step", permissions=["act"])
    def replay(self, request: HttpRequest, jobs: "QuerySet[Job]") -> Answer:
        """Do the work of ended jobs again from a step."""

        def act(job_id: str, actor: str, form: Any) -> object:
            return default_dispatcher().retry(
                job_id, from_step=form["step"], reason=form["reason"], actor=actor
            )

        return self._confirmed(request, jobs, "replay", act)

    @admin.action(description="Resolve", permissions=["act"])
    def resolve(self, request: HttpRequest, jobs: "QuerySet[Job]") -> Answer:
        """Let held jobs go on, or fail."""

        def act(job_id: str, actor: str, form: Any) -> object:
            dispatcher = default_dispatcher()
            decide = dispatcher.resume if form["decision"] == "resume" else dispatcher.abandon
            return decide(job_id, reason=form["reason"], actor=actor)

        return self._confirmed(request, jobs, "resolve", act)

    def _confirmed(
        self, request: HttpRequest, jobs: "QuerySet[Job]", action: str, act: Act
    ) -> Answer:
        if request.POST.get("confirmed") != "yes":
            context = {
                **self.admin_site.each_context(request),
                "action": action,
                "jobs": jobs,
                "question": f"{action.capitalize()} {len(jobs)} job(s)?",
            }
            return TemplateResponse(request, "admin/failsoft/confirm.html", context)
        actor, done = request.user.get_username()[:_LONGEST_ACTOR], 0
        for job in jobs:
            try:
                act(job.id, actor, request.POST)
            except FailsoftError as error:
                self.message_user(request, f"{job.id}: {error}", messages.ERROR)
            else:
                done += 1
        if done:
            self.message_user(request, f"{action}: {done} job(s)", messages.SUCCESS)
        return None


@admin.register(DeadLetter)
class DeadLetterAdmin(JobAdmin):
    """Jobs that have failed, or are held."""

    list_display: Any = ("id", "name", "queue", "state", "error", "finished_at")

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Job]":
        """Return those that a person may do something about."""
        return super().get_queryset(request).filter(state__in=("failed", "held"))


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin):
    """Attempts, on whichever engine."""

    list_display = ("job_id", "epoch", "engine", "worker", "started_at", "ended_at", "outcome")
    list_filter = ("engine", "outcome")
    search_fields = ("job_id", "worker")
    show_full_result_count = False


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    """Worker processes."""

    list_display = ("boot_id", "engine", "queue", "host", "pid", "slots", "seen_at")
    list_filter = ("engine", "queue")
