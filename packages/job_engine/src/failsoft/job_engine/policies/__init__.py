"""What a job declares of itself: queue, retries, limits, uniqueness, retention, schedule.

Imports `values` and below.
"""
