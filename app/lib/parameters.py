"""Bounded parameters of paths and queries; what is out of bounds is 400 before any handler runs."""

from __future__ import annotations

from typing import Annotated

from litestar.params import HeaderParameter, PathParameter, QueryParameter

from app.lib.bounds import NUMBER, PRINTABLE
from app.lib.ids import ID_MAX
from app.lib.page import NAME_CURSOR, PAGE_LIMIT_MAX

PathId = Annotated[str, PathParameter(min_length=1, max_length=64, pattern=PRINTABLE)]
PathNumber = Annotated[str, PathParameter(pattern=NUMBER)]
RequiredQueryId = Annotated[str, QueryParameter(min_length=1, max_length=64, pattern=PRINTABLE)]
QueryId = Annotated[str | None, QueryParameter(min_length=1, max_length=64, pattern=PRINTABLE)]
# A country, or a part of one (ISO 3166-2).
QueryRegion = Annotated[str | None, QueryParameter(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$(?!\n)")]
Limit = Annotated[int, QueryParameter(ge=1, le=PAGE_LIMIT_MAX)]
# Of lists by names that shops bring: the last that was shown (app/lib/page.py).
Cursor = Annotated[str, QueryParameter(pattern=NAME_CURSOR)]
CurrencyCursor = Annotated[str, QueryParameter(pattern=r"^([A-Z]{3})?$(?!\n)")]
# Of lists with the newest first: the last id that was shown.
NumberCursor = Annotated[str, QueryParameter(pattern=rf"{NUMBER}|^$")]
# Required where it is named; a missing one is refused by the verb with its own code.
IdempotencyKey = Annotated[str | None, HeaderParameter(name="Idempotency-Key")]


def before(cursor: str) -> int:
    """The id below which such a list goes on; without a cursor it begins with the newest."""
    return int(cursor) if cursor else ID_MAX
