"""The engine rq: RQ on Redis."""
