"""SQLite: its file, its locks, and the queue of its writers."""
