"""What buyers send and see of groups. Amounts are minor units of `currency`, times UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from app.lib.bounds import TOTAL_MINOR_MAX, Id, Number, Quantity
from app.seats.schemas import Seat

GroupOrderState = Literal["UNPAID", "PAID", "SUCCEEDED", "REFUNDING", "REFUNDED", "CANCELED"]


class GroupOrderRequest(Struct, forbid_unknown_fields=True, gc=False, omit_defaults=True):
    """The body of `groupbuy/orders`: `group_id` null starts a group."""

    campaign_item_id: Number
    quantity: Quantity
    payable_minor: Annotated[int, Meta(ge=0, le=TOTAL_MINOR_MAX)]
    group_id: Number | None = None
    # physical goods need one
    address_id: Id | None = None
    # should the money come too late for this group: another open one, instead of the money back
    join_other: bool = False


class GroupOrderPlaced(Struct, gc=False):
    """A slot is held until `pay_deadline`. `group_id` is null for who starts one: it begins when paid.

    With `stock_policy` `on_success` the goods are had by whoever paid first, should they not suffice for the
    whole group; the others get their money back. So with `last_member` in a group that succeeds with fewer.
    """

    order_id: str
    group_id: str | None
    slot: int | None
    status: Literal["UNPAID"]
    currency: str
    payable_minor: int
    pay_deadline: datetime
    stock_policy: Literal["last_member", "each_member", "on_success"]


class GroupOrder(Struct, frozen=True, kw_only=True):
    """A buyer's own order; `trade_order_id` once the group has succeeded."""

    order_id: str
    status: GroupOrderState
    campaign_id: str
    campaign_item_id: str
    sku_id: str
    title: str
    quantity: int
    currency: str
    payable_minor: int
    pay_deadline: datetime | None
    created_at: datetime
    group_id: str | None
    slot: int | None
    group_status: Literal["OPEN", "SUCCEEDED", "FAILED"] | None
    group_slots: int | None
    group_members_paid: int | None
    group_ends_at: datetime | None
    share_code: str | None
    share_url: str | None
    stock_policy: Literal["last_member", "each_member", "on_success"]
    trade_order_id: str | None
    # of a show, once the group has succeeded
    seats: list[Seat]


class GroupMember(Struct, frozen=True):
    """Somebody in a group, without what is theirs: the name is masked. Slot 1 has who started it."""

    slot: int
    name: str
    # not paid yet: the slot is held until the payment deadline
    paid: bool


class GroupItem(Struct, frozen=True):
    """A SKU that can be joined with, and what one costs outside of a group (null: not sold so)."""

    campaign_item_id: str
    sku_id: str
    attributes: dict[str, str]
    session: str | None
    ticket_category: str | None
    currency: str
    sale_price_minor: int
    single_price_minor: int | None
    sell_status: Literal["OPEN", "CLOSED"]


class Group(Struct, frozen=True, kw_only=True):
    """A group as everyone may see it: `members` have a slot, `members_paid` of them have paid."""

    group_id: str
    campaign_id: str
    shop_id: str
    shop_name: str
    item_id: str
    title: str
    name: str
    status: Literal["OPEN", "SUCCEEDED", "FAILED"]
    slots: int
    members: int
    members_paid: int
    # the first ones
    shown_members: list[GroupMember]
    items: list[GroupItem]
    stock_policy: Literal["last_member", "each_member", "on_success"]
    # 虚拟成团: not full at its end, it succeeds from this share of its members on; and it did so
    complete_from_bp: int | None
    completed_short: bool
    share_code: str
    share_url: str
    started_at: datetime
    ends_at: datetime
    # the server's: a countdown is `ends_at` less this
    now: datetime
    settled_at: datetime | None
    fail_reason: str | None
    version: int

    @property
    def may_lack_goods(self) -> bool:
        """Whether it can succeed without goods for all: those who paid last get their money back."""
        short = self.complete_from_bp is not None and self.stock_policy == "last_member"
        return short or self.stock_policy == "on_success"
