"""Failsoft in a Flask app.

`Failsoft(app)`, or `init_app` of one, makes the app's `FAILSOFT_*` settings those of the process,
adds `flask failsoft`, and writes what is still to be written of a dispatch when a context of the
app ends. `dispatch_job` of `failsoft.api` then dispatches as anywhere.
"""

from failsoft.contrib.flask.extension import Failsoft

__all__ = ["Failsoft"]
