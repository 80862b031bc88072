"""The routes: Wagtail's admin, the console of the jobs, and the pages."""

from django.urls import include, path
from wagtail import urls as pages
from wagtail.admin import urls as wagtail_admin

urlpatterns = [
    path("admin/queues/", include("failsoft.contrib.django.urls")),
    path("admin/", include(wagtail_admin)),
    path("", include(pages)),
]
