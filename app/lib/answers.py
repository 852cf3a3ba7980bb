"""An idempotent call's answer as a response of the framework."""

from __future__ import annotations

from typing import Any

from litestar import Response

from app.lib.idempotency import Answer


def as_response(answer: Answer) -> Response[Any]:
    headers = {"Idempotent-Replayed": "true"} if answer.replayed else {}
    return Response(answer.body, status_code=answer.status, media_type="application/json", headers=headers)
