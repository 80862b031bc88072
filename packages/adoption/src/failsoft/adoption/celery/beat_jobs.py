"""The job module of workers that fire the beat schedule of the program's Celery app.

It makes one job of each entry when a worker starts. Stop `celery beat` first: it would fire them,
too.
"""

from failsoft.adoption.celery.beat import beat_jobs

globals().update({job.name: job for job in beat_jobs()})
