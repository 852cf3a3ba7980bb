"""Why red packets are not sent."""

from __future__ import annotations

from app.lib.errors import Conflict, NotFound


class PoolNotFound(NotFound):
    code = "red_packet_pool_not_found"
    title = "There is no such pool of red packets"


class PoolFixed(Conflict):
    """A pool's shop and currency stay as they were made."""

    code = "red_packet_pool_fixed"
    title = "The shop and the currency of a pool cannot change"


class PoolTooLow(Conflict):
    """Members: `balance_minor`, `missing_minor`."""

    code = "red_packet_pool_too_low"
    title = "There is not enough money in the pool"
