"""Who of a batch gets the order, decided over locked numbers alone."""

from datetime import UTC, datetime

from app.checkout.admit import Numbers, PoolNumbers, admit
from app.checkout.schemas import Checkout, LineDraft, OrderDraft
from app.coupons import claim as coupons
from app.coupons.claim import CouponState
from app.flash_sales import claim as purchase_limits
from app.lib.idempotency import Once
from app.stock.scripts import Reservation, Want

NOW = datetime(2026, 11, 11, tzinfo=UTC)


def checkout(
    buyer_id: str, quantity: int, *, coupon_ids: list[int] | None = None, buyer_max: int = 0
) -> Checkout:
    want = Want(1, "1001", quantity, buyer_max)
    return Checkout(
        once=Once("checkout/entries", buyer_id, buyer_id.encode().rjust(16), b"h" * 16),
        buyer_id=buyer_id,
        root=OrderDraft(
            1, None, buyer_id, "7", "CNY", 0, 0, 0, "normal", "sale", None, None, None, None, NOW
        ),
        children=[],
        lines=[LineDraft(1, 2, "1001", "t", "virtual", 1, "place", quantity, 0, 0, 0, 0, 0)],
        reservations=[Reservation(b"r" * 16, 1, "7", buyer_id, "sale", [want])],
        held=[],
        deductions=[],
        coupon_ids=coupon_ids or [],
        activity_id="sale",
        created_at=NOW,
        answer_body=b"{}",
    )


def codes(checkouts: list[Checkout], numbers: Numbers) -> list[str | None]:
    return [refusal and refusal.code for refusal in admit(checkouts, numbers)]


def pools(on_hand: int, *, closed: bool = False) -> dict[int, PoolNumbers]:
    return {1: PoolNumbers(on_hand, 0, 1, closed)}


def test_first_come_first_served_and_a_smaller_one_may_still_fit() -> None:
    numbers = Numbers(pools(3), [])
    assert codes([checkout("a", 2), checkout("b", 2), checkout("c", 1)], numbers) == [
        None,
        "out_of_stock",
        None,
    ]
    assert numbers.pools[1].taken == 3


def test_one_coupon_in_two_orders_of_a_batch_is_spent_once() -> None:
    coupon = CouponState("a", "available", datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    numbers = Numbers(pools(9), [(coupons, {5: coupon})])
    orders = [checkout("a", 1, coupon_ids=[5]), checkout("a", 1, coupon_ids=[5])]
    assert codes(orders, numbers) == [None, "coupon_unavailable"]
    assert numbers.pools[1].taken == 1


def test_somebody_elses_coupon_and_an_expired_one_are_refused() -> None:
    theirs = CouponState("b", "available", datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    expired = CouponState("a", "available", datetime(2026, 1, 1, tzinfo=UTC), NOW)
    numbers = Numbers(pools(9), [(coupons, {5: theirs, 6: expired})])
    orders = [checkout("a", 1, coupon_ids=[5]), checkout("a", 1, coupon_ids=[6])]
    assert codes(orders, numbers) == ["coupon_unavailable", "coupon_unavailable"]
    assert numbers.pools[1].taken == 0


def test_a_buyers_limit_counts_over_the_orders_of_a_batch() -> None:
    numbers = Numbers(pools(9), [(purchase_limits, {("sale", "1001", "a"): 1})])
    orders = [checkout("a", 1, buyer_max=2), checkout("a", 1, buyer_max=2)]
    assert codes(orders, numbers) == [None, "purchase_limit_exceeded"]


def test_a_closed_pool_sells_nothing_more() -> None:
    assert codes([checkout("a", 1)], Numbers(pools(9, closed=True), [])) == ["activity_not_open"]
