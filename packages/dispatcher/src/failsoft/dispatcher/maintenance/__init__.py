"""What every worker does beside its jobs: stage what is due, fire schedules, rescue.

Imports `offering`.
"""
