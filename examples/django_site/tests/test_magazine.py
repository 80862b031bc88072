"""Wagtail's tasks and the magazine's own: committed with the page, once, on whichever engine."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import pytest
from django.db import transaction
from wagtail.models import Page, ReferenceIndex

from failsoft.contrib.django.jobs import django_task
from failsoft.testkit import Testkit
from magazine import tasks
from magazine.models import ArticlePage, Notice, Subscriber

Committing = Callable[..., AbstractContextManager[Any]]

WAGTAIL_S = "wagtail.tasks.update_reference_index_task"
OURS = "magazine.tasks.tell_subscribers"

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.failsoft(engines=("rq", "dramatiq"), jobs=[django_task]),
]


class RolledBackError(Exception):
    """Ends a transaction."""


@pytest.fixture
def committing(django_capture_on_commit_callbacks: Committing) -> Committing:
    """Return what runs the callbacks of a commit, which a test's transaction has none of."""

    @contextmanager
    def committing() -> Iterator[None]:
        with django_capture_on_commit_callbacks(execute=True):
            yield

    return committing


def article(home: Page, title: str = "On tasks") -> ArticlePage:
    page = ArticlePage(title=title, body=f'<p><a linktype="page" id="{home.pk}">Home</a></p>')
    home.add_child(instance=page)
    page.save_revision().publish()
    return page


def calls(failsoft: Testkit, path: str) -> int:
    return len(failsoft.dispatched(django_task, path=path))


def test_wagtail_s_task_runs_unchanged(
    failsoft: Testkit, committing: Committing, home: Page
) -> None:
    with committing():
        page = article(home)
    assert calls(failsoft, WAGTAIL_S)
    assert not ReferenceIndex.get_references_for_object(page).exists()

    failsoft.drain()

    (found,) = ReferenceIndex.get_references_for_object(page)
    assert (found.to_object_id, found.model_path) == (str(home.pk), "body.")


def test_it_goes_on_elsewhere_when_its_worker_and_its_broker_die(
    failsoft: Testkit, committing: Committing, home: Page
) -> None:
    with committing():
        page = article(home)
    failsoft.crash_at("conclude.before")
    failsoft.drain()
    failsoft.fail_engine("rq")
    failsoft.travel(minutes=5)
    failsoft.drain()

    assert ReferenceIndex.get_references_for_object(page).count() == 1
    jobs = failsoft.dispatched(django_task)
    ran = [[each.engine for each in failsoft.ledger.attempts(job.id)] for job in jobs]
    assert ["rq", "dramatiq"] in ran


def test_an_article_that_is_rolled_back_has_no_task(
    failsoft: Testkit, committing: Committing, home: Page
) -> None:
    with committing(), suppress(RolledBackError), transaction.atomic():
        article(home)
        raise RolledBackError

    failsoft.refute_dispatched(django_task)


def test_each_subscriber_is_told_once(
    failsoft: Testkit,
    committing: Committing,
    home: Page,
    readers: list[Subscriber],
    mailoutbox: list[Any],
) -> None:
    with committing():
        page = article(home)
        page.save_revision().publish()
    failsoft.drain()

    assert calls(failsoft, OURS) == 1
    assert sorted(mail.to[0] for mail in mailoutbox) == [each.email for each in readers]


def test_the_mails_go_on_after_the_last_batch(
    failsoft: Testkit,
    committing: Committing,
    home: Page,
    readers: list[Subscriber],
    mailoutbox: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tasks, "BATCH", 1)
    with committing():
        article(home)
    failsoft.die_after_step("mail 2")
    failsoft.drain()
    assert len(mailoutbox) < len(readers)
    failsoft.fail_engine("rq")
    failsoft.travel(minutes=5)
    failsoft.drain()

    assert len(mailoutbox) == Notice.objects.count() == len(readers)
