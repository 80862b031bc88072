"""The real data set: the airports of the `vega_datasets` package, and the table they go to."""

import csv
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

from failsoft.job_engine.errors import ConfigurationError
from failsoft.job_engine.jobs.data_sync.import_csv import CsvImport
from failsoft.job_engine.jobs.data_sync.table_sink import ColumnType
from failsoft.worker.demo.environment.extras import REMEDY

TABLE = "airports"
KEY = "iata"
COLUMNS: Mapping[str, ColumnType] = {
    "iata": "str",
    "name": "str",
    "city": "str",
    "state": "str",
    "country": "str",
    "latitude": "float",
    "longitude": "float",
}
#: Small, so that a third of the file is many steps.
BATCH_SIZE = 25

Airport = Mapping[str, str]


def airports_csv() -> Path:
    """Return the file of the installed package, without importing the package and its pandas.

    Raises:
        ConfigurationError: If the package is not there, or has another shape.
    """
    spec = find_spec("vega_datasets")
    folders = (spec.submodule_search_locations if spec else None) or ()
    found = [path for folder in folders if (path := Path(folder, "_data", "airports.csv")).exists()]
    if not found:
        raise ConfigurationError(f"expected airports.csv in vega_datasets, got none; {REMEDY}")
    # The file itself, where an installer has made a link of it: imports stay in one folder.
    return found[0].resolve()


def read_airports(path: Path) -> Sequence[Airport]:
    """Read every airport."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def import_of(path: Path) -> CsvImport:
    """Return the payload of the import."""
    return CsvImport(source=str(path), table=TABLE, columns=dict(COLUMNS), batch_size=BATCH_SIZE)


def imported_keys(database: Path) -> Sequence[str]:
    """Return the key of every row of the table; none if there is no table yet."""
    if not database.exists():
        return ()
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        try:
            rows = connection.execute(f"SELECT {KEY} FROM {TABLE}").fetchall()  # noqa: S608 - names of ours
        except sqlite3.OperationalError:
            return ()
    return [str(key) for (key,) in rows]
