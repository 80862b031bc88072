"""The list of chains, by their first jobs."""

from starlette.responses import Response

from failsoft.console.call import Call

_SHOWN = 50


def chains(call: Call) -> Response:
    """`GET /chains`."""
    after = call.request.query_params.get("after") or None
    panel = call.panel(("chains", after), lambda ledger: ledger.chains(after, _SHOWN))
    page = panel.value
    return call.page(
        "chains.html",
        title="Chains",
        chains=page.items if page else (),
        after=page.after if page else None,
        looked_through=page.looked_through if page else None,
        panel=panel,
    )
