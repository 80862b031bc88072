"""What a definition's page says of how long its jobs take, and how many fail."""

from failsoft.console.views.performance import quantile
from failsoft.job_engine.ports.measures import Batch, Series
from tests.console.conftest import Shown


def test_a_quantile_is_the_bound_of_its_bucket() -> None:
    buckets = {"0.05": 50, "0.5": 44, "2.5": 5, "+Inf": 1}

    assert quantile(buckets, 0.5) == 0.05
    assert quantile(buckets, 0.95) == 2.5
    assert quantile(buckets, 1) is None
    assert quantile({}, 0.5) is None


def test_the_page_of_a_definition_has_a_row_for_each_engine(shown: Shown) -> None:
    series = Series("run", "send_welcome", "default", "rq", "succeeded", "0.25")
    shown.ledger.add_measures(Batch("b1", "", {series: 20, series._replace(le="10"): 1}))

    page = shown.client().get("/definitions/send_welcome").text

    rq = page[page.index('<td class="mono">rq') :].partition("</tr>")[0]
    assert "250 ms" in rq
    assert "%" in page[page.index("By engine") :]
