"""A job module that dispatches while it is imported."""

from failsoft.api import dispatch_job
from tests.contrib.apps.orders import Order, pay

dispatch_job(pay, Order(), job_id="early")
