"""Bounded parameters of paths and queries; what is out of bounds is 400 before any handler runs."""

from __future__ import annotations

from typing import Annotated

from litestar.params import PathParameter, QueryParameter

from app.lib.bounds import PRINTABLE
from app.lib.page import PAGE_LIMIT_MAX

PathId = Annotated[str, PathParameter(min_length=1, max_length=64, pattern=PRINTABLE)]
QueryId = Annotated[str | None, QueryParameter(min_length=1, max_length=64, pattern=PRINTABLE)]
Limit = Annotated[int, QueryParameter(ge=1, le=PAGE_LIMIT_MAX)]
Cursor = Annotated[str, QueryParameter(max_length=64, pattern=PRINTABLE)]
