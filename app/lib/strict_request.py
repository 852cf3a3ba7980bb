"""JSON bodies are decoded strictly: "1" is not 1, and true is not a quantity.

The framework converts a handler's whole arguments leniently, since paths and queries are text. A body that
is decoded here, straight into the handler's own type, passes through that unchanged.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
from litestar import Request

from app.lib.hot import decode


class StrictRequest(Request[Any, Any, Any]):
    """The application's requests."""

    async def json(self) -> Any:
        """The body as the handler's `data`. Raises InvalidRequest naming what is wrong and where."""
        field = self.route_handler.parsed_data_field
        return decode(_decoder(field.annotation if field else object).decode, await self.body())


@cache
def _decoder(body: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(body)
