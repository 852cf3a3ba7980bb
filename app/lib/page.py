"""Lists in pages: `{"items": […], "next_cursor": …}`, where the cursor is what the last item sorts by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from msgspec import Struct

Entry = TypeVar("Entry")

# What a screen shows, and what one answer may weigh.
PAGE_LIMIT_DEFAULT = 20
PAGE_LIMIT_MAX = 200

# Where the cursor is a name that shops bring. By itself any text would be a place in the order of names, and
# what is no cursor would look like the end of the list.
AFTER = "after:"
NAME_CURSOR = rf"^({AFTER}[^\x00-\x1f\x7f]{{1,64}})?$(?!\n)"


class Page(Struct, Generic[Entry], frozen=True):
    """One page; `next_cursor` is None on the last."""

    items: list[Entry]
    next_cursor: str | None

    @staticmethod
    def cut(entries: list[Entry], limit: int, key: Callable[[Entry], str]) -> Page[Entry]:
        """`entries` holds one more than `limit` where there is another page."""
        items = entries[:limit]
        return Page(items, key(items[-1]) if len(entries) > limit else None)

    @staticmethod
    def cut_by_name(entries: list[Entry], limit: int, name: Callable[[Entry], str]) -> Page[Entry]:
        """The same for a list by names; `after` reads its cursor."""
        return Page.cut(entries, limit, lambda entry: AFTER + name(entry))


def after(cursor: str) -> str:
    """The name after which a list by names goes on; without a cursor it begins with the first."""
    return cursor.removeprefix(AFTER)
