"""The routes of the console: `path("queues/", include("failsoft.contrib.django.urls"))`."""

from django.contrib.admin.views.decorators import staff_member_required
from django.urls import URLPattern, path
from django.views.decorators.csrf import csrf_exempt

from failsoft.contrib.django.console import console

app_name: str = "failsoft"

#: The console itself refuses what another site's page sends.
_view = csrf_exempt(staff_member_required(console))

urlpatterns: list[URLPattern] = [
    path("", _view, name="console"),
    path("<path:path>", _view),
]
