"""`manage.py failsoft_worker ...`: `failsoft worker`, with the project's settings and tasks."""

from failsoft.contrib.django.command import ProgramCommand


class Command(ProgramCommand):
    """Run workers of this project: `manage.py failsoft_worker rq`."""

    help = "Run workers of this project: `manage.py failsoft_worker rq`."
    before = ("worker",)
