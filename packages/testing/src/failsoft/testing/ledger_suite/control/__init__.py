"""What people do to jobs, queues and engines, and what they read."""
