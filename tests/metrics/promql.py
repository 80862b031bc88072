"""What an expression of Prometheus names."""

import re

import promql_parser

#: What Grafana puts in, and what it may be.
_VARIABLES = {"$__rate_interval": "1m", "$job": "a_job"}
_SERIES = re.compile(r"\bfailsoft_\w+")
_SUFFIXES = ("_bucket", "_sum", "_count")


def filled(expression: str, **values: str) -> str:
    """Return an expression as Grafana sends it."""
    given = _VARIABLES | {f"${name}": value for name, value in values.items()}
    for name, value in given.items():
        expression = expression.replace(name, value)
    return expression


def names_in(expression: str) -> set[str]:
    """Return the metrics that an expression names; of histograms without what a series ends with.

    Raises:
        ValueError: It does not parse.
    """
    parsed = promql_parser.parse(filled(expression)).prettify()
    return {_family(name) for name in _SERIES.findall(parsed)}


def _family(name: str) -> str:
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return name
