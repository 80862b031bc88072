"""The engine celery: one task of Celery's an offer, on Redis or RabbitMQ."""
