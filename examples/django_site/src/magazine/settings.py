"""The settings of Django."""

import os
from datetime import timedelta

import dj_database_url
import django

SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY", "for development only")
DEBUG = "DJANGO_SECRET_KEY" not in os.environ
ALLOWED_HOSTS = os.environ.get("DJANGO_ALLOWED_HOSTS", "localhost,127.0.0.1").split(",")
ROOT_URLCONF = "magazine.urls"
USE_TZ = True
STATIC_URL = "static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DEFAULT_FROM_EMAIL = "magazine@example.org"
EMAIL_BACKEND = os.environ.get("EMAIL_BACKEND", "django.core.mail.backends.console.EmailBackend")
WAGTAIL_SITE_NAME = "The Magazine"
WAGTAILADMIN_BASE_URL = os.environ.get("MAGAZINE_URL", "http://localhost:8000")

INSTALLED_APPS = [
    "magazine",
    "failsoft.contrib.django",
    "wagtail.sites",
    "wagtail.users",
    "wagtail.documents",
    "wagtail.images",
    "wagtail.search",
    "wagtail.admin",
    "wagtail",
    "modelcluster",
    "taggit",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
if django.VERSION < (6, 0):
    INSTALLED_APPS.append("django_tasks")
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
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

# Failsoft's ledger is in Django's database: a page and its tasks are one commit.
_database = dj_database_url.config("FAILSOFT_LEDGER_URL", "sqlite:///.failsoft/ledger.db")
if _database["ENGINE"] == "django.db.backends.sqlite3":
    _database["OPTIONS"] = {"transaction_mode": "IMMEDIATE", "timeout": 10}
DATABASES = {"default": _database}
FAILSOFT_LEDGER_DATABASE = "default"

# Wagtail's tasks are written for a backend that runs each once; they bear to be run again.
TASKS = {
    "default": {
        "BACKEND": "failsoft.contrib.django.FailsoftBackend",
        "OPTIONS": {"retry": {"max_attempts": 5}, "timeout": timedelta(minutes=2)},
    }
}
