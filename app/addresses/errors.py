"""Why an address cannot be used."""

from __future__ import annotations

from app.lib.errors import Unprocessable


class AddressInvalid(Unprocessable):
    """`field` names what is wrong with it."""

    code = "address_invalid"
    title = "Nothing can be sent to this address"


class AddressBlocked(Unprocessable):
    """On the blocklist. It is not said by which entry."""

    code = "address_blocked"
    title = "Nothing is sent to this address"
