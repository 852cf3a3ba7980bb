"""What codes become, decided without a server: one after the other, over the same numbers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from app.coupons.admit import LockedTemplate, Numbers
from app.coupons.codes import Code, Codes, Redeemed, WantedCode
from app.coupons.errors import CodeNotFound, CodeUsed, CouponsExhausted, PerBuyerMaxReached
from app.coupons.known_codes import Asked, judge
from app.pricing.documents import AmountOff, CouponTemplateDocument

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def template(granted_count: int = 0, **more: Any) -> LockedTemplate:
    document = CouponTemplateDocument("10 off", AmountOff(1_000, "order"), **more)
    return LockedTemplate(None, document, granted_count)


def codes(found: dict[str, Code], **templates: LockedTemplate) -> Codes:
    return Codes(found, Numbers(templates, {}), set())


def wanted(code: str, coupon_id: int = 1) -> WantedCode:
    return WantedCode(code, None, coupon_id, coupon_id + 100)


def test_a_one_time_code_is_used_for_whoever_comes_next_in_the_same_batch() -> None:
    known = codes({"A": Code("t", is_one_time=True)}, t=template())
    assert known.redeem(wanted("A"), "42", NOW).coupon_id == "1"
    with pytest.raises(CodeUsed):
        known.redeem(wanted("A", 2), "43", NOW)
    assert known.redeemed == [Redeemed("A", "42", 1, None)]
    assert [each.buyer_id for each in known.numbers.given] == ["42"]


def test_a_shared_code_lasts_for_all_that_there_are_and_one_a_buyer() -> None:
    known = codes({"TEA": Code("t")}, t=template(granted_count=8, quantity_total=10, per_buyer_max=1))
    known.redeem(wanted("TEA", 1), "42", NOW)
    with pytest.raises(PerBuyerMaxReached):
        known.redeem(wanted("TEA", 2), "42", NOW)
    known.redeem(wanted("TEA", 3), "43", NOW)
    with pytest.raises(CouponsExhausted):
        known.redeem(wanted("TEA", 4), "44", NOW)
    assert [each.coupon_id for each in known.redeemed] == [1, 3]


def test_who_invites_is_rewarded_as_long_as_they_may_have_more() -> None:
    known = codes(
        {"A": Code("t", inviter_id="41", inviter_template_id="thanks")},
        t=template(),
        thanks=template(per_buyer_max=1),
    )
    known.redeem(wanted("A", 1), "42", NOW)
    known.redeem(wanted("A", 2), "43", NOW)
    assert known.redeemed == [Redeemed("A", "42", 1, 101), Redeemed("A", "43", 2, None)]
    assert known.invited == {("t", "42"), ("t", "43")}


def test_what_is_tried_leaves_everything_as_it_was() -> None:
    known = codes({"A": Code("t", is_one_time=True)}, t=template(quantity_total=1, per_buyer_max=1))
    for _ in range(2):  # two carts that share what was read
        judged = judge(known, Asked(["A"], "42"), None, NOW)
        assert (list(judged.coupons), judged.refused) == (["A"], [])
    assert known == codes({"A": Code("t", is_one_time=True)}, t=template(quantity_total=1, per_buyer_max=1))


def test_a_code_that_nobody_knows_becomes_nothing() -> None:
    with pytest.raises(CodeNotFound):
        codes({}).redeem(wanted("A"), "42", NOW)
