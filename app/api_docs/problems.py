"""What a call may be refused with, as OpenAPI writes it.

In: the errors of one call, each with the code that it carries. Out: one response a status, in which every
code is explained and shown.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from app.lib.errors import AppError

PROBLEM = "application/problem+json"
RETRY_AFTER = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
PROBLEM_SCHEMA = {
    "title": "Problem",
    "description": "RFC 9457. `code` is stable; further members carry what the client needs to act.",
    "type": "object",
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail", "code"],
    "additionalProperties": True,
}


def problem_responses(problems: list[tuple[type[AppError], str]]) -> dict[str, Any]:
    """One response a status, with each code explained and shown."""
    responses: dict[str, Any] = {}
    for error, code in sorted(problems, key=lambda problem: problem[0].status):
        response = responses.setdefault(
            str(error.status),
            {
                "description": "",
                "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}},
            },
        )
        if error.status in RETRY_AFTER:
            response["headers"] = {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}
        response["description"] += f"- `{code}`{_explain(error) if code == error.code else ''}\n"
        response["content"][PROBLEM]["examples"][code] = {"value": error(code=code).problem()}
    return responses


def _explain(error: type[AppError]) -> str:
    own = f" {' '.join(error.__doc__.split())}" if error.__doc__ and error is not AppError else ""
    return f": {error.title}.{own}"
