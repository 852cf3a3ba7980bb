"""Who is it: bearer tokens (JWT) and the roles in them; and how often one caller may call.

HS256 with the configured secret by default; EdDSA, RS256 and ES256 through a JWKS address. A token that was
verified once is remembered until it expires, since verifying costs more than pricing a cart.
"""

from __future__ import annotations

import time
from typing import Any

import jwt
import msgspec
import structlog

from app.lib.clock import Clock
from app.lib.errors import Forbidden, TooManyRequests, Unauthorized, Unavailable
from app.settings import Settings

log = structlog.get_logger()

ROLES = frozenset({"buyer", "merchant", "op", "service"})
# Verified tokens kept per process: about 500 bytes each, so 25 MB when full; then they are all forgotten.
TOKENS_MAX = 50_000
# Fetching keys holds up the whole process: it is given up soon, and after a failure left alone for a while.
# Nobody whose token is known already waits for an issuer that is away.
JWKS_TIMEOUT_S = 2
JWKS_REST_S = 10
# Callers whose rate is watched per process; when full, all are forgotten and start with a full bucket.
BUCKETS_MAX = 100_000
# Of buyers and shops, as in bodies (app/lib/bounds.py).
ID_LENGTH_MAX = 64


class Caller(msgspec.Struct, frozen=True, gc=False):
    """Who calls. `shop_id` is set for merchants only."""

    sub: str
    role: str
    shop_id: str | None = None

    def require(self, *roles: str) -> Caller:
        """Raises Forbidden when the caller has none of the roles."""
        if self.role not in roles:
            raise Forbidden(f"role {self.role} may not call this; needed: {' or '.join(roles)}")
        return self

    def require_shop(self, shop_id: str) -> None:
        """Raises Forbidden when a merchant touches another shop than its own."""
        if self.role == "merchant" and self.shop_id != shop_id:
            raise Forbidden("a merchant may change its own shop only")


class Authenticator:
    """Turns an Authorization header into a Caller."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._secret = settings.jwt_secret
        self._algorithms = list(settings.jwt_algorithms)
        url = settings.jwt_jwks_url
        self._jwks = jwt.PyJWKClient(url, timeout=JWKS_TIMEOUT_S) if url else None
        self._jwks_rests_until = 0.0
        self._clock = clock
        self._verified: dict[str, tuple[Caller, float]] = {}

    def caller(self, header: str | None) -> Caller:
        """Raises Unauthorized when the header is missing, malformed, forged or expired, Unavailable when the
        issuer's keys cannot be had."""
        if header is None:
            raise Unauthorized("send Authorization: Bearer <token>")
        known = self._verified.get(header)
        if known is not None and known[1] > time.time():
            return known[0]
        return self._verify(header)

    def _verify(self, header: str) -> Caller:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthorized("send Authorization: Bearer <token>")
        try:
            key = self._key_from_issuer(self._jwks, token) if self._jwks else self._secret
            claims = jwt.decode(
                token,
                key,
                algorithms=self._algorithms,
                options={"require": ["exp", "sub"], "verify_aud": False},
            )
        except jwt.PyJWTError as error:
            raise Unauthorized(f"the token is not valid: {error}") from None
        sub, role, shop_id = claims["sub"], claims.get("role"), claims.get("shop_id")
        if not _is_id(sub):
            raise Unauthorized("the token's sub must be 1 to 64 printable characters")
        if not isinstance(role, str) or role not in ROLES or (role == "merchant" and not _is_id(shop_id)):
            raise Unauthorized("the token's role must be buyer, merchant (with shop_id), op or service")
        caller = Caller(sub, role, shop_id if role == "merchant" else None)
        if len(self._verified) >= TOKENS_MAX:
            self._verified.clear()
        self._verified[header] = (caller, _seconds(claims["exp"]))
        return caller

    def _key_from_issuer(self, jwks: jwt.PyJWKClient, token: str) -> Any:
        if time.monotonic() < self._jwks_rests_until:
            raise Unavailable("the issuer of tokens does not answer")
        try:
            return jwks.get_signing_key_from_jwt(token).key
        except jwt.PyJWKClientConnectionError as error:
            log.error("jwks_not_fetched", error=str(error))
            self._jwks_rests_until = time.monotonic() + JWKS_REST_S
            raise Unavailable("the issuer of tokens does not answer") from None


def _is_id(claim: object) -> bool:
    # An empty shop_id would be nobody's shop, and with that everybody's.
    return isinstance(claim, str) and 1 <= len(claim) <= ID_LENGTH_MAX and claim.isprintable()


def _seconds(expires: Any) -> float:
    try:
        return float(expires)
    except OverflowError:
        raise Unauthorized("the token's exp is out of bounds") from None


def make_token(
    settings: Settings, *, sub: str, role: str, shop_id: str | None = None, ttl_s: int = 86_400
) -> str:
    """A signed token, for tests, the tour and operators."""
    claims: dict[str, object] = {"sub": sub, "role": role, "exp": int(time.time()) + ttl_s}
    if shop_id is not None:
        claims["shop_id"] = shop_id
    return jwt.encode(claims, settings.jwt_secret, algorithm="HS256")


class RateLimiter:
    """A token bucket per caller, in this process: no I/O on the hottest calls."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        self._buckets: dict[str, list[float]] = {}

    def take(self, caller_key: str) -> None:
        """Raises TooManyRequests with `retry_after_s` when the caller's bucket is empty."""
        now = time.monotonic()
        bucket = self._buckets.get(caller_key)
        if bucket is None:
            if len(self._buckets) >= BUCKETS_MAX:
                self._buckets.clear()
            self._buckets[caller_key] = [self._burst - 1.0, now]
            return
        tokens = min(self._burst, bucket[0] + (now - bucket[1]) * self._per_s)
        bucket[1] = now
        if tokens < 1.0:
            bucket[0] = tokens
            raise self._refusal(tokens)
        bucket[0] = tokens - 1.0

    def check(self, caller_key: str) -> None:
        """Raises TooManyRequests as `take` does; takes nothing."""
        tokens = self._tokens(caller_key)
        if tokens < 1.0:
            raise self._refusal(tokens)

    def charge(self, caller_key: str, calls: int) -> None:
        """Take what a call turned out to cost; if that is more than there is, later calls wait for it."""
        left = self._tokens(caller_key) - calls
        if len(self._buckets) >= BUCKETS_MAX:
            self._buckets.clear()
        self._buckets[caller_key] = [left, time.monotonic()]

    def _tokens(self, caller_key: str) -> float:
        tokens, since = self._buckets.get(caller_key, (self._burst, time.monotonic()))
        return min(self._burst, tokens + (time.monotonic() - since) * self._per_s)

    def _refusal(self, tokens: float) -> TooManyRequests:
        wait_s = (1.0 - tokens) / self._per_s
        return TooManyRequests(f"slow down: {self._per_s:g} calls a second", retry_after_s=int(wait_s) + 1)
