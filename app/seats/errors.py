"""Why a map stays as it is, or a campaign cannot sell so much."""

from __future__ import annotations

from app.lib.errors import Conflict


class SeatsGiven(Conflict):
    """Member: `seats` (`row`, `number`) that somebody has and the new map lacks, the first 100."""

    code = "seats_given"
    title = "Somebody has these seats"


class SeatsOfOtherSku(Conflict):
    """Member: `seats` (`row`, `number`, `sku_id` that has it), the first 100."""

    code = "seats_of_other_sku"
    title = "Another SKU of the item has these seats in the same session"


class TooFewSeats(Conflict):
    """Member: `sku_ids`."""

    code = "too_few_seats"
    title = "There are fewer free seats than what campaigns sell"
