"""What is kept about a buyer. Who buys is the login's business; here are only the tags that rules ask for."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from app.lib.bounds import Id

# A member level, a few segments: more tags than this are somebody's customer database.
TAGS_MAX = 32


class BuyerDocument(Struct, forbid_unknown_fields=True, frozen=True):
    """A buyer as `PUT /admin/buyers/{buyer_id}` takes it."""

    tags: Annotated[list[Id], Meta(max_length=TAGS_MAX)]


class KnownBuyer(Struct, frozen=True):
    """A buyer as it is answered; the tags sorted, each once."""

    buyer_id: str
    tags: list[str]
