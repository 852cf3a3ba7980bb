"""Lists in pages: `{"items": […], "next_cursor": …}`, where the cursor is what the last item sorts by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from msgspec import Struct

Entry = TypeVar("Entry")

# What a screen shows, and what one answer may weigh.
PAGE_LIMIT_DEFAULT = 20
PAGE_LIMIT_MAX = 200


class Page(Struct, Generic[Entry], frozen=True):
    """One page; `next_cursor` is None on the last."""

    items: list[Entry]
    next_cursor: str | None

    @staticmethod
    def cut(entries: list[Entry], limit: int, key: Callable[[Entry], str]) -> Page[Entry]:
        """`entries` holds one more than `limit` where there is another page."""
        items = entries[:limit]
        return Page(items, key(items[-1]) if len(entries) > limit else None)
