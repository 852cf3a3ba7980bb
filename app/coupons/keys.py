"""Redis keys of coupons."""


def buyer_coupons_key(buyer_id: str) -> str:
    """String: the buyer's coupons by id (msgpack), or empty for a while after a change. Expires."""
    return f"held_coupons:{{{buyer_id}}}"


def gate_keys(template_id: str) -> list[str]:
    """What the gate holds of one template, on one node of a cluster. All expire, and are loaded again.

    String: how many were given. Sorted set: claims in flight by their deadline. Hash: buyer -> how many, with
    what is in flight; the field "" says that it was loaded whole.
    """
    return [f"coupon_gate:{{{template_id}}}:{part}" for part in ("given", "flight", "buyers")]


GATE_PATTERN = "coupon_gate:*:given"


def template_of(key: str) -> str:
    """The template in a key of the gate."""
    return key[key.index("{") + 1 : key.rindex("}")]
