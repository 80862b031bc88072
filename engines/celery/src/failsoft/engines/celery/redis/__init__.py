"""Celery on a Redis or Valkey."""
