"""The settings of a project whose ledger is in its own database, or in none, as it is started."""

import os
from urllib.parse import urlsplit

import django

SECRET_KEY = "of the tests"
USE_TZ = True
TIME_ZONE = "UTC"
ROOT_URLCONF = "tests.contrib.django.project.urls"
DEBUG = False
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
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
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
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
