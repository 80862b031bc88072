"""An action on the rows that were selected in a list."""

from collections.abc import Sequence

from starlette.responses import Response

from failsoft.console.call import Call
from failsoft.console.pages.actions import act_on
from failsoft.console.pages.bulk import action_of, check_decides, may_decide
from failsoft.job_engine.errors import FailsoftError, LedgerUnavailableError, OptionInvalidError
from failsoft.job_engine.ports.console import MOST_ON_A_PAGE, BulkAction

_PAST = {
    BulkAction.CANCEL: "cancelled, or asked to stop",
    BulkAction.RETRY: "are done again",
    BulkAction.RESUME: "go on",
    BulkAction.ABANDON: "were given up",
}


def selected(call: Call) -> Response:
    """`GET /selected`: what an action would be done to."""
    query = call.request.query_params
    action = action_of(query.get("action", ""))
    jobs = call.ledger.records(_ids(query.getlist("ids")))
    return call.page(
        "selected.html",
        title=f"{action.value.capitalize()} what is selected",
        action=action,
        jobs=jobs,
        back=query.get("back", ""),
        may_decide=may_decide(call, action),
    )


def act(call: Call) -> Response:
    """`POST /selected`, with `action` and the field `ids` once for each job."""
    action = action_of(call.text("action"))
    check_decides(call, action)
    jobs = call.ledger.records(_ids(call.body.get("ids", ())))
    refused: list[str] = []
    for job in jobs:
        try:
            act_on(call, action, job)
        except LedgerUnavailableError:
            raise
        except FailsoftError as error:
            refused.append(str(error))
    number = len(jobs) - len(refused)
    message = f"{number} jobs {_PAST[action]}."
    if refused:
        message += f" {len(refused)} were refused; the first: {refused[0][:200]}"
    return call.done(message, call.url("jobs"))


def _ids(given: Sequence[str]) -> Sequence[str]:
    ids = tuple(dict.fromkeys(given))
    if not 1 <= len(ids) <= MOST_ON_A_PAGE:
        raise OptionInvalidError(f"expected 1 to {MOST_ON_A_PAGE} selected jobs, got {len(ids)}")
    return ids
