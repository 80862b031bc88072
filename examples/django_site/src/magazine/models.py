"""Articles and subscribers."""

from typing import ClassVar

from django.db import models
from wagtail.admin.panels import FieldPanel
from wagtail.fields import RichTextField
from wagtail.models import Page


class ArticlePage(Page):
    """An article; pages that its text links to are in Wagtail's index of references.

    Attributes:
        body: Its text.
    """

    body = RichTextField(blank=True)

    content_panels: ClassVar[list[object]] = [*Page.content_panels, FieldPanel("body")]


class Subscriber(models.Model):
    """A reader who gets a mail for each article.

    Attributes:
        email: The address.
    """

    email: "models.EmailField[str, str]" = models.EmailField(unique=True)

    def __str__(self) -> str:
        """Return the address."""
        return self.email


class Notice(models.Model):
    """A mail to a subscriber; its row is why that is sent once.

    Attributes:
        subscriber: Who got it.
        article: What it is about.
    """

    subscriber: "models.ForeignKey[Subscriber, Subscriber]" = models.ForeignKey(
        Subscriber, models.CASCADE
    )
    article: "models.ForeignKey[ArticlePage, ArticlePage]" = models.ForeignKey(
        ArticlePage, models.CASCADE
    )

    class Meta:
        """One for each subscriber and article."""

        constraints: ClassVar = [
            models.UniqueConstraint(fields=["subscriber", "article"], name="one_notice")
        ]

    def __str__(self) -> str:
        """Return who got which article."""
        return f"{self.subscriber}: {self.article}"
