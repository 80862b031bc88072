"""A server that speaks Inngest's protocol: for tests, for `failsoft dev`, and to try things out.

It takes events, registrations and nothing else, and calls functions as Inngest 1.x does: signed,
over a connection of its own each, at most as many at once as a function allows, and again after a
pause where the answer was none or an error. It has no steps, no schedules and no pages. What is
registered is kept in a folder; events that wait are lost with the process.

    python -m failsoft.testing.inngest_server --port 8288 --folder .inngest
"""
