"""The engine dramatiq: Dramatiq on RabbitMQ or Redis."""
