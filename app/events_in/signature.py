"""`X-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`.

Several secrets hold while they rotate, and several `v1` may be sent. Must hold: the signature is of the bytes
that came, compared in constant time; one older or newer than five minutes is refused (replays).
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from app.lib.errors import Unauthorized

# The contract's; wide enough for clocks that are off and for a slow retry, which is signed anew anyway.
TOLERANCE_S = 300


class SignatureInvalid(Unauthorized):
    code = "signature_invalid"
    title = "A valid X-Signature is needed"


def sign(secret: str, body: bytes, at_s: int) -> str:
    """The header's value."""
    return f"t={at_s},v1={_digest(secret, body, str(at_s))}"


def verify(secrets: Sequence[str], header: str | None, body: bytes, now_s: float) -> None:
    """Raises SignatureInvalid."""
    stamp, digests = _parse(header or "")
    if abs(now_s - int(stamp)) > TOLERANCE_S:
        raise SignatureInvalid(f"signed more than {TOLERANCE_S} s ago, or in the future")
    genuine = False
    for secret in secrets:
        expected = _digest(secret, body, stamp).encode()
        for digest in digests:
            genuine |= hmac.compare_digest(expected, digest)
    if not genuine:
        raise SignatureInvalid("the signature does not fit the body")


def _digest(secret: str, body: bytes, stamp: str) -> str:
    return hmac.digest(secret.encode(), f"{stamp}.".encode() + body, "sha256").hex()


def _parse(header: str) -> tuple[str, list[bytes]]:
    pairs = [part.strip().partition("=") for part in header.split(",")]
    stamps = [value for name, _, value in pairs if name == "t"]
    digests = [value.encode() for name, _, value in pairs if name == "v1"]
    # Twelve digits reach the year 33658; more would only feed a parser.
    if (
        len(stamps) != 1
        or not digests
        or not (stamps[0].isascii() and stamps[0].isdigit())
        or len(stamps[0]) > 12
    ):
        raise SignatureInvalid("X-Signature: t=<unix seconds>,v1=<hex>")
    return stamps[0], digests
