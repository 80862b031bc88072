"""`manage.py failsoft_worker ...`: `failsoft worker`, with the project's settings and tasks."""

from typing import ClassVar

from failsoft.contrib.django.command import ProgramCommand


class Command(ProgramCommand):
    """Run workers of this project: `manage.py failsoft_worker rq`."""

    help = "Run workers of this project: `manage.py failsoft_worker rq`."
    before: ClassVar[tuple[str, ...]] = ("worker",)
