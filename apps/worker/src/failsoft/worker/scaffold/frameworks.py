"""What each framework brings into a new application."""

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
        variables: Variables of the environment that the framework itself reads.
    """

    title: str
    requirements: Sequence[str]
    run: str
    serve: str
    request: str
    development: Sequence[str] = ()
    jobs: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)


_REQUEST = "curl -X POST localhost:8000/orders/7"

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
            requirements=("failsoft", "django>=5.2", "gunicorn>=23"),
            run="python -m django runserver --noreload $(or $(PORT),8000)",
            serve="exec gunicorn --bind 0.0.0.0:8000 {package}.app:application",
            request=_REQUEST,
            development=("django-stubs>=5.2",),
            variables={"DJANGO_SETTINGS_MODULE": "{package}.settings"},
        ),
    }
)
