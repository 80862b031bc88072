"""Jobs of the `data-sync` queue: long and database-heavy."""
