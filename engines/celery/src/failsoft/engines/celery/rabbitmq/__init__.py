"""Celery on RabbitMQ, by py-amqp."""
