"""What makes two requests the same one."""

from __future__ import annotations

import msgspec
import pytest

from app.coupons.schemas import ClaimRequest, Grant, Redeem
from app.gift_cards.schemas import IssueGiftCards
from app.groups.schemas import GroupOrderRequest
from app.lib.idempotency import content_hash
from app.payments.schemas import PaymentRequest
from app.points.schemas import GrantPoints
from app.price_changes.schemas import LineChange, PriceChangeRequest
from app.pricing.schemas import CartLine, CheckoutRequest, Choice
from app.red_packets.schemas import FundPool, SendRedPackets
from app.refunds.schemas import RefundLine, RefundRequest
from app.stock.schemas import AdjustStock

REQUESTS = [
    AdjustStock, CartLine, CheckoutRequest, Choice, ClaimRequest, FundPool, Grant, GrantPoints,
    GroupOrderRequest, IssueGiftCards, LineChange, PaymentRequest, PriceChangeRequest, Redeem, RefundLine,
    RefundRequest, SendRedPackets,
]  # fmt: skip


@pytest.mark.parametrize("request_type", REQUESTS)
def test_what_a_request_hashes_to_leaves_out_what_is_as_usual(request_type: type[msgspec.Struct]) -> None:
    assert request_type.__struct_config__.omit_defaults


def test_a_field_that_a_later_version_adds_leaves_the_content_of_a_retry_the_same() -> None:
    class Later(CheckoutRequest, kw_only=True):
        new: str | None = None

    cart = {"currency": "CNY", "lines": [{"sku_id": "1", "quantity": 1}], "payable_minor": 1}
    now, later = (msgspec.convert(cart, each) for each in (CheckoutRequest, Later))
    assert content_hash(now) == content_hash(later)


def test_what_was_said_to_be_as_usual_is_the_same_as_not_said_and_anything_else_is_not() -> None:
    cart = {"currency": "CNY", "lines": [{"sku_id": "1", "quantity": 1}], "payable_minor": 1}
    usual = cart | {"coupon_ids": [], "mode": "normal", "memo": None, "points": 0, "choices": []}
    other = cart | {"points": 1}
    hashes = [content_hash(msgspec.convert(each, CheckoutRequest)) for each in (cart, usual, other)]
    assert hashes[0] == hashes[1] != hashes[2]
