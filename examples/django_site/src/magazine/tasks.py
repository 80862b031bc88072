"""The magazine's own task."""

from django.core.mail import send_mail
from django.db import transaction

from failsoft.contrib.django import StepContext, task
from magazine.models import ArticlePage, Notice, Subscriber

#: How many mails are a step.
BATCH = 50


@task(steps=True, tags=("mail",))
def tell_subscribers(context: StepContext, article: int) -> int:
    """Send each subscriber a mail about an article; return how many there are.

    A batch is a step: what is recorded is not sent again, on whichever engine it goes on.
    """
    everyone: list[int] = context.run("subscribers", _subscribers)
    for batch in context.job.batches("mail", everyone, size=BATCH):
        for subscriber in batch:
            _send_once(article, subscriber)
    return len(everyone)


def _subscribers() -> list[int]:
    return list(Subscriber.objects.order_by("pk").values_list("pk", flat=True))


def _send_once(article: int, subscriber: int) -> None:
    page = ArticlePage.objects.get(pk=article)
    reader = Subscriber.objects.get(pk=subscriber)
    # A batch that was cut off is begun again: who has a row has the mail. If the process dies
    # between the mail and the commit, one reader gets it twice.
    with transaction.atomic():
        _, is_new = Notice.objects.get_or_create(article=page, subscriber=reader)
        if is_new:
            send_mail(page.title, f"New: {page.full_url}", None, [reader.email])
