"""What each framework brings into a new application."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Framework = Literal["fastapi", "django", "flask", "none"]


@dataclass(frozen=True, slots=True)
class FrameworkKit:
    """How an application of a framework is installed, served and requested.

    `{package}` in a text stands for the application's package.

    Attributes:
        title: What `make run` starts.
        requirements: What it is installed with.
        run: The command of `make run`.
        serve: The command of its image.
        request: A command that places an order.
        development: What its developers need besides.
        jobs: The module that workers import, where it is not those of the jobs.
        has_jobs: Whether its folder of templates has the jobs and their tests, too.
        words: What stands for more words of its templates.
        pytest: Lines of the settings of pytest.
        variables: Variables of the environment that the framework itself reads.
    """

    title: str
    requirements: Sequence[str]
    run: str
    serve: str
    request: str
    development: Sequence[str] = ()
    jobs: str = ""
    has_jobs: bool = False
    words: Mapping[str, str] = field(default_factory=dict)
    pytest: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)


_REQUEST = "curl -X POST localhost:8000/orders/7"
#: Django has tasks from 6.0 on, which is for Python 3.12 and later; before, its backport has them.
_HAS_TASKS = sys.version_info >= (3, 12)
_DJANGO = ("django>=6.0",) if _HAS_TASKS else ("django>=5.2,<6", "django-tasks>=0.12")

FRAMEWORKS: Mapping[Framework, FrameworkKit] = MappingProxyType(
    {
        "none": FrameworkKit(
            title="it places an order, and prints its receipt",
            requirements=("failsoft",),
            run="python -m {package}.app $(or $(ORDER),7)",
            serve="exec failsoft worker maintenance",
            request="make run ORDER=8",
        ),
        "fastapi": FrameworkKit(
            title="the web application",
            requirements=("failsoft[fastapi]", "uvicorn>=0.35"),
            run="uvicorn {package}.app:app --port $(or $(PORT),8000)",
            serve="exec uvicorn {package}.app:app --host 0.0.0.0 --port 8000",
            request=_REQUEST,
        ),
        "flask": FrameworkKit(
            title="the web application",
            requirements=("failsoft[flask]", "gunicorn>=23"),
            run="flask run --port $(or $(PORT),8000)",
            serve="exec gunicorn --bind 0.0.0.0:8000 '{package}.app:create_app()'",
            request=_REQUEST,
            jobs="failsoft.contrib.flask.app",
            variables={"FLASK_APP": "{package}.app"},
        ),
        "django": FrameworkKit(
            title="the web application",
            requirements=(
                *("failsoft[django]", *_DJANGO),
                *("dj-database-url>=3", "gunicorn>=23", "python-dotenv>=1"),
            ),
            run="python manage.py runserver --noreload $(or $(PORT),8000)",
            serve="exec gunicorn --bind 0.0.0.0:8000 {package}.app:application",
            request=_REQUEST,
            development=("django-stubs>=5.2", "pytest-django>=4.11"),
            jobs="failsoft.contrib.django.jobs",
            has_jobs=True,
            pytest='DJANGO_SETTINGS_MODULE = "{package}.settings"\n',
            words={
                "tasks_module": "django.tasks" if _HAS_TASKS else "django_tasks",
                "tasks_app": "" if _HAS_TASKS else '"django_tasks", ',
            },
            variables={"DJANGO_SETTINGS_MODULE": "{package}.settings"},
        ),
    }
)
