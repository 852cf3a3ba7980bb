"""What the address calls take and give."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from app.lib.bounds import PRINTABLE, Id

# More than any household; it bounds a list that every checkout screen loads.
ADDRESSES_PER_BUYER_MAX = 50

Text = Annotated[str, Meta(min_length=1, max_length=255, pattern=PRINTABLE)]
ShortText = Annotated[str, Meta(min_length=1, max_length=100, pattern=PRINTABLE)]
Code = Annotated[str, Meta(max_length=16, pattern=PRINTABLE)]
Phone = Annotated[str, Meta(min_length=1, max_length=32, pattern=PRINTABLE)]
Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}$(?!\n)")]
BlockKind = Literal["phone", "region", "buyer"]


class UpsertAddress(Struct, forbid_unknown_fields=True, frozen=True):
    """A new address (`address_id` null) or another content for one of the buyer's."""

    name: ShortText
    phone: Phone
    country: Country
    city: ShortText
    street: Text
    region: Code = ""
    postcode: Code = ""
    address_id: Id | None = None


class AddressSnapshot(Struct, frozen=True):
    """An address as it is answered, and as an order keeps it."""

    address_id: str
    name: str
    phone: str
    country: str
    region: str
    city: str
    street: str
    postcode: str


class Block(Struct, forbid_unknown_fields=True, frozen=True):
    """Why nothing is sent there."""

    reason: Annotated[str, Meta(max_length=255, pattern=PRINTABLE)] = ""


class Blocked(Struct, frozen=True):
    """An entry of the blocklist."""

    kind: BlockKind
    value: str
    reason: str
