"""Is it an address, and may something be sent there.

`check_form` is pure; `check_blocklist` asks the ledger when an address is saved. Placing an order asks it
again for many orders at once (the view `destination`), since it may have grown in between.
"""

from __future__ import annotations

import re

from app.addresses.errors import AddressBlocked, AddressInvalid
from app.addresses.regions import postcode_fits, region_exists
from app.addresses.schemas import UpsertAddress
from app.lib.postgres import Pool
from app.lib.sql import load

sql = load("addresses")

# E.164: at most 15 digits with the country's code; the shortest national numbers have five.
_PHONE = re.compile(r"\+?[0-9 ().-]+", re.ASCII)
PHONE_DIGITS_MIN, PHONE_DIGITS_MAX = 5, 15
# The codes of the countries that the regions are known of, as people put them before their number.
_COUNTRY_CODE = re.compile(r"^(\+|00)(86|1)(?=[0-9 ().-]{10})")


def check_form(address: UpsertAddress) -> None:
    """Raises AddressInvalid with `field`."""
    digits = phone_digits(address.phone)
    if not _PHONE.fullmatch(address.phone) or not PHONE_DIGITS_MIN <= len(digits) <= PHONE_DIGITS_MAX:
        raise AddressInvalid("this is not a phone number", field="phone")
    if not region_exists(address.country, address.region):
        raise AddressInvalid(f"{address.country} has no region {address.region or '(none)'}", field="region")
    if not postcode_fits(address.country, address.postcode):
        raise AddressInvalid(f"this is not a postcode of {address.country}", field="postcode")


async def check_blocklist(pool: Pool, buyer_id: str, address: UpsertAddress) -> None:
    """Raises AddressBlocked."""
    regions = [address.region, address.country]
    if await pool.fetchval(sql.why_blocked, buyer_id, phone_digits(address.phone), regions):
        raise AddressBlocked


def phone_digits(phone: str) -> str:
    """The national number, by which one phone is known however it is written."""
    return re.sub(r"[^0-9]", "", _COUNTRY_CODE.sub("", phone))
