"""The app of the magazine."""

from typing import Any

from django.apps import AppConfig


class MagazineConfig(AppConfig):
    """The magazine, which tells its subscribers of an article when that is published."""

    name = "magazine"

    def ready(self) -> None:
        """Listen for articles that are published."""
        from wagtail.signals import page_published  # noqa: PLC0415 - the apps are loaded by now

        from magazine.models import ArticlePage  # noqa: PLC0415 - see above

        page_published.connect(_published, sender=ArticlePage)


def _published(instance: Any, **kwargs: Any) -> None:
    from magazine.tasks import tell_subscribers  # noqa: PLC0415 - needs the settings

    # In the transaction that publishes the article; once, however often it is published.
    told = tell_subscribers.using(idempotency_key=f"article-{instance.pk}")
    told.enqueue(instance.pk)
