"""The keys of the streams that the relay fills; permanent, trimmed by length."""

from __future__ import annotations


def stream_key(topic: str) -> str:
    return f"events:{topic}"
