"""PostgreSQL: sessions, poolers, replicas, and limits on every call."""
