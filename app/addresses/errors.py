"""Why an address cannot be used."""

from __future__ import annotations

from app.lib.errors import Unprocessable


class AddressInvalid(Unprocessable):
    """`field` names what is wrong with it; `sku_ids` goods whose tax depends on it."""

    code = "address_invalid"
    title = "Nothing can be sent to this address"


class AddressBlocked(Unprocessable):
    """On the blocklist, and it is not said by which entry; or the shop does not send there: `sku_ids`."""

    code = "address_blocked"
    title = "Nothing is sent to this address"
