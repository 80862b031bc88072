"""Registering a queue's function with Inngest: the worker does it itself, and only as itself.

The address that Inngest is to call is a setting. The SDK takes it from any request for a
synchronization, signed or not (ING-05).
"""

from http import HTTPStatus

from failsoft.engine_api import EngineRefusedError, EngineUnavailableError
from failsoft.engines.inngest.client import Client
from failsoft.engines.inngest.functions import QueueFunction
from failsoft.engines.inngest.settings import InngestSettings

#: How long Inngest may take to answer, in seconds.
ANSWER_SECONDS = 2.0

_DENIED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


def register(client: Client, settings: InngestSettings, function: QueueFunction) -> None:
    """Register a function, or renew its registration, which changes nothing.

    Raises:
        EngineRefusedError: Inngest does not take it.
        EngineUnavailableError: It was not reached.
        OfferUncertainError: It did not answer.
    """
    url = f"{settings.url}/fn/register"
    key, fallback = (*settings.signing_keys, None, None)[:2]
    shown = function.registration()
    answer = client.send("POST", url, shown, timeout=ANSWER_SECONDS, key=key)
    if answer.status in _DENIED and fallback is not None:
        answer = client.send("POST", url, shown, timeout=ANSWER_SECONDS, key=fallback)
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise EngineUnavailableError(f"Inngest answers {answer.status}: {answer.said[:200]}")
    if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
        raise EngineRefusedError(
            f"Inngest refuses the function {function.id}: {answer.status} {answer.said[:200]}"
        )
