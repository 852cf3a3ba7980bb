"""The gate's keys. Hash-tagged by shop, so that one script call stays on one node of a cluster.

All are permanent: they are rebuilt from the ledger when they are gone, and Valkey must run with
`maxmemory-policy noeviction`.
"""

from __future__ import annotations


def flight_key(shop_id: str) -> str:
    """Hash: reservation id -> who reserved what until when (msgpack)."""
    return f"gate:{{{shop_id}}}:flight"


def flight_field(reservation_id: bytes) -> str:
    """Hexadecimal: the scripts' msgpack knows text, not bytes, and people can read it."""
    return reservation_id.hex()


def reservation_of(field: bytes) -> bytes:
    """The reservation id in a field of the flight."""
    return bytes.fromhex(field.decode())


def pool_prefix(shop_id: str) -> str:
    return f"gate:{{{shop_id}}}:pool:"


def pool_key(shop_id: str, pool_id: int) -> str:
    """Hash: free (as of the ledger's version), version, flight (units reserved and not settled)."""
    return f"gate:{{{shop_id}}}:pool:{pool_id}"


def limits_key(shop_id: str, activity_id: str) -> str:
    """Hash: `limit_field` -> units taken; the field "" says that it was loaded whole."""
    return f"gate:{{{shop_id}}}:limits:{activity_id}"


def limit_field(sku_id: str, buyer_id: str) -> str:
    return f"{sku_id}\0{buyer_id}"


FLIGHT_PATTERN = "gate:*:flight"
POOL_PATTERN = "gate:*:pool:*"
LIMITS_PATTERN = "gate:*:limits:*"


def shop_of(key: str) -> str:
    """The shop in a key of the gate."""
    return key[len("gate:{") : key.index("}")]


def last_part(key: str) -> str:
    """The pool of a pool's key, the activity of a limits key."""
    return key[key.index("}") :].split(":", 2)[2]
