"""`manage.py failsoft ...`: the command `failsoft`, with the project's settings and tasks."""

from failsoft.contrib.django.command import ProgramCommand


class Command(ProgramCommand):
    """Run workers, show jobs and everything else that `failsoft` does, for this project."""

    help = "Run workers, show jobs and everything else that `failsoft` does, for this project."
