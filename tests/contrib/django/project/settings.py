"""The settings of a project whose ledger is in its own database, or in none, as it is started."""

import os
from urllib.parse import urlsplit

import django

SECRET_KEY = "of the tests"
USE_TZ = True
ROOT_URLCONF = "tests.contrib.django.project.urls"
DEBUG = False
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "failsoft.contrib.django",
    "tests.contrib.django.project.shop",
]
if django.VERSION < (6, 0):
    INSTALLED_APPS.append("django_tasks")

_database = urlsplit(os.environ.get("_DJANGO_DATABASE_URL", "sqlite:///:memory:"))
if _database.scheme.startswith("postgresql"):
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": _database.path[1:],
            "USER": _database.username,
            "HOST": _database.hostname,
            "PORT": str(_database.port),
        }
    }
else:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": _database.path[1:],
            "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 10},
        }
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES["other"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
TASKS = {
    "default": {
        "BACKEND": "failsoft.contrib.django.FailsoftBackend",
        "QUEUES": ["default", "data-sync"],
    },
    "joins": {
        "BACKEND": "failsoft.contrib.django.FailsoftBackend",
        "OPTIONS": {"transaction": "join", "retry": {"max_attempts": 2}},
    },
}
