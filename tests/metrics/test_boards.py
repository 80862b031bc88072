"""The boards: as `make dashboards` writes them, and of nothing that is not exposed."""

import json
import re
from collections.abc import Iterator

import pytest

from deploy.grafana import boards
from failsoft.telemetry.catalogue import METRICS
from tests.metrics.promql import names_in

_BY = re.compile(r"\bby \(([^)]*)\)")
_WHERE = re.compile(r"[{,]\s*(\w+)\s*=")


def expressions(name: str) -> Iterator[str]:
    """Return the expressions of a board, as its file has them."""
    board = json.loads((boards.HERE / f"{name}.json").read_text())
    for panel in board["panels"]:
        yield from (target["expr"] for target in panel["targets"])


@pytest.mark.parametrize("name", boards.BOARDS)
def test_a_board_is_as_it_is_made(name: str) -> None:
    assert (boards.HERE / f"{name}.json").read_text() == boards.written(name), "run make dashboards"


@pytest.mark.parametrize("name", boards.BOARDS)
def test_a_board_names_only_metrics_and_labels_that_are_exposed(name: str) -> None:
    known = {metric.family: metric for metric in METRICS.values()}
    for expression in expressions(name):
        (named,) = names_in(expression)
        assert named in known
        labels = {label.strip() for group in _BY.findall(expression) for label in group.split(",")}
        labels |= set(_WHERE.findall(expression))
        assert labels <= {*known[named].labels, "le"}
