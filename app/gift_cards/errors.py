"""Why a gift card is not shown."""

from __future__ import annotations

from app.lib.errors import NotFound


class GiftCardNotFound(NotFound):
    code = "gift_card_not_found"
    title = "There is no gift card with this code"
