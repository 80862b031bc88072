"""The OpenAPI description of the API, made of the table of routes."""

import re
from collections.abc import Sequence
from typing import Any

from failsoft.console.endpoint import Endpoint

_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")


def description(endpoints: Sequence[Endpoint], prefix: str) -> dict[str, Any]:
    """Return the description of every endpoint that answers in JSON.

    Args:
        endpoints: The table of routes.
        prefix: Where the console is mounted.
    """
    paths: dict[str, Any] = {}
    for each in endpoints:
        if each.is_api:
            path = _PARAMETER.sub(r"{\1}", each.path)
            paths.setdefault(path, {})[each.methods[0].lower()] = _operation(each)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Failsoft console", "version": "1"},
        "servers": [{"url": prefix or "/"}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "password": {"type": "http", "scheme": "basic"},
            }
        },
        "security": [{"token": []}, {"password": []}],
    }


#: The body of a refusal; `code` and `see` are there where an error of Failsoft's is the reason.
_REFUSED: dict[str, Any] = {
    "application/json": {
        "schema": {
            "type": "object",
            "required": ["error", "detail"],
            "properties": {
                "error": {"type": "string"},
                "detail": {"type": "string"},
                "code": {"type": "string", "pattern": "^FS-[0-9]{3}$"},
                "see": {"type": "string"},
            },
        }
    }
}


def _operation(each: Endpoint) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(each.path)
    ]
    operation: dict[str, Any] = {
        "operationId": each.name.replace("-", "_"),
        "summary": each.summary,
        "parameters": parameters,
        "x-permission": each.permission,
        "responses": {
            "200": {"description": "done", "content": {"application/json": {}}},
            "400": {"description": "an argument is wrong", "content": _REFUSED},
            "401": {"description": "no login", "content": _REFUSED},
            "403": {"description": "without the permission", "content": _REFUSED},
            "503": {"description": "the ledger is away", "content": _REFUSED},
        },
    }
    if "POST" in each.methods:
        content = {"application/json": {"schema": {"type": "object"}}}
        operation["requestBody"] = {"content": content}
    return operation
