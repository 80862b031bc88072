"""A site with a page that links are made to."""

import pytest
from wagtail.models import Page

from magazine.models import Subscriber


@pytest.fixture
def home(db: None) -> Page:
    """Return the first page of Wagtail's own site."""
    return Page.objects.get(slug="home")


@pytest.fixture
def readers(db: None) -> list[Subscriber]:
    """Subscribe three readers."""
    names = ("ada", "bob", "eve")
    return [Subscriber.objects.create(email=f"{name}@example.org") for name in names]
