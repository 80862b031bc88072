"""What the API reads; the actions are those of the screens."""

from datetime import UTC, datetime, timedelta

from starlette.responses import Response

from failsoft.console.call import Call
from failsoft.console.pages.decisions import shown
from failsoft.console.pages.job import document_of
from failsoft.console.views.search import read_filter, read_limit
from failsoft.dispatcher.fleet import FRESH


def jobs(call: Call) -> Response:
    """`GET /api/v1/jobs`: a page of the jobs that the query chooses."""
    query = call.request.query_params
    wanted = read_filter(query.multi_items())
    page = call.ledger.find(wanted, query.get("after") or None, read_limit(query.get("limit")))
    return call.json(page)


def count(call: Call) -> Response:
    """`GET /api/v1/jobs/count`: how many jobs the query chooses."""
    return call.json(call.ledger.count(read_filter(call.request.query_params.multi_items())))


def job(call: Call) -> Response:
    """`GET /api/v1/jobs/{id}`: a job's story."""
    return call.json(document_of(call, call.ledger.story(call.path["id"])))


def tally(call: Call) -> Response:
    """`GET /api/v1/tally`: jobs by queue, engine and state."""
    return call.json(call.ledger.tally())


def workers(call: Call) -> Response:
    """`GET /api/v1/workers`: the workers whose heartbeat is fresh."""
    return call.json(call.ledger.live_workers())


def engines(call: Call) -> Response:
    """`GET /api/v1/engines`: open breakers, pauses and switches."""
    return call.json(
        {
            "engines": call.site.environment.engine_names,
            "breakers": call.ledger.breakers(FRESH),
            "pauses": call.ledger.pauses(),
            "disabled": call.ledger.disabled_engines(),
        }
    )


def schedules(call: Call) -> Response:
    """`GET /api/v1/schedules`: every schedule, by name."""
    return call.json(call.ledger.schedules()[1])


def audits(call: Call) -> Response:
    """`GET /api/v1/audits`: what people and programs did, the newest first."""
    query = call.request.query_params
    limit = read_limit(query.get("limit"))
    return call.json(call.ledger.audits(query.get("after") or None, limit, query.get("target")))


def notices(call: Call) -> Response:
    """`GET /api/v1/notices`: what happened, the newest first."""
    query = call.request.query_params
    return call.json(
        call.ledger.notices(query.get("after") or None, read_limit(query.get("limit")))
    )


def failed(call: Call) -> Response:
    """`GET /api/v1/failed`: the newest dead letters by their cause."""
    return call.json(shown(call.ledger.causes()))


def samples(call: Call) -> Response:
    """`GET /api/v1/samples`: the figures of the minutes of the last hour."""
    return call.json(call.ledger.samples(datetime.now(UTC) - timedelta(hours=1)))


def waits(call: Call) -> Response:
    """`GET /api/v1/waits`: jobs that wait for events and for others."""
    query = call.request.query_params
    return call.json(call.ledger.waits(query.get("after") or None, read_limit(query.get("limit"))))


def limits(call: Call) -> Response:
    """`GET /api/v1/limits`: keys of limits."""
    query = call.request.query_params
    after, limit = query.get("after") or None, read_limit(query.get("limit"))
    return call.json(call.ledger.limit_keys(after, limit))


def bulks(call: Call) -> Response:
    """`GET /api/v1/bulks`: the bulks, the newest first."""
    query = call.request.query_params
    return call.json(call.ledger.bulks(query.get("after") or None, read_limit(query.get("limit"))))


def bulk(call: Call) -> Response:
    """`GET /api/v1/bulks/{id}`: one bulk."""
    return call.json(call.ledger.bulk(call.path["id"]))
