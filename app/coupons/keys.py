"""Redis keys of coupons."""


def buyer_coupons_key(buyer_id: str) -> str:
    """String: the buyer's coupons (msgpack), or empty for a while after a change. Expires."""
    return f"coupons:{{{buyer_id}}}"
