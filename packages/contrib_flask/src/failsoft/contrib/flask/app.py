"""The job module of a worker of a Flask app: it loads the app, as `flask` does, and its jobs.

`flask failsoft worker` names it in `FAILSOFT_JOBS`; `failsoft worker` runs the same where that and
`FLASK_APP` are set. Every attempt runs within the app's context. The jobs are those of the modules
in the app's setting `FAILSOFT_JOBS`, and those that came with the app.
"""

import os
import sys
from collections.abc import Iterable

from flask import Flask
from flask.cli import ScriptInfo

from failsoft.job_engine.definitions.importing import definitions_of
from failsoft.job_engine.definitions.surroundings import surround_attempts


def _load(app: Flask) -> None:
    given: str | Iterable[str] = app.config.get("FAILSOFT_JOBS") or ()
    names = given.split(",") if isinstance(given, str) else given
    for name in map(str.strip, names):
        # What is wrong with a module is said of it, and not of this one.
        definitions_of(name)
        # A name of this module, by which the jobs are found also where they were imported before.
        globals()[f"jobs_of_{name}"] = sys.modules[name]
    surround_attempts(app.app_context)


app: Flask = ScriptInfo(app_import_path=os.environ.get("FLASK_APP")).load_app()
_load(app)
