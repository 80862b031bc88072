"""Every rule that is to be taken out stands in the code as the break expects it."""

import pytest

from tests.sabotage.__main__ import ROOT
from tests.sabotage.breaks import BREAKS, Break


@pytest.mark.parametrize("each", BREAKS, ids=lambda each: f"{each.rule}: {each.meaning}")
def test_a_rule_stands_once_where_it_is_taken_out(each: Break) -> None:
    assert (ROOT / each.file).read_text().count(each.right) == 1
