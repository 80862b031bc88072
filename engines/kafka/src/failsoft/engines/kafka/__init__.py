"""The engine kafka: one topic a queue, one record an offer."""
