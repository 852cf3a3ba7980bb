"""Redis keys of pricing."""


def quote_key(quote_id: str) -> str:
    """String: a quote (msgpack, app/pricing/quote.py). Expires. The 1 is the form of what is kept."""
    return f"quote:1:{quote_id}"
