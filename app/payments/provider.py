"""The sandbox provider as the shop sees it: REST over HTTP, every wait limited.

Every call carries our reference and may be repeated with the same one: the provider answers as before and
does nothing twice. Raises ChannelDown when the outcome is not known (repeat later, same reference) and
ChannelRefused when the provider said no (nothing was done).
"""

from __future__ import annotations

import functools
import ssl
from typing import Any

import httpx
import msgspec

from app.lib.errors import Conflict, Unavailable

# A provider on the far side of the world opens a connection within a second or is down.
CONNECT_TIMEOUT_S = 1.0
# A buyer waits for the pay page; after this long the app should show "try again" (the same key is safe).
CALL_TIMEOUT_S = 5.0
# Enough for a rush of buyers who all pay at once; more would only queue at the provider.
CONNECTIONS_MAX = 100
# Kept open between calls. The client asks the system about each of them before every call.
CONNECTIONS_IDLE_MAX = 10


@functools.cache
def _certificates() -> ssl.SSLContext:
    """Reading the trusted certificates takes 35 ms: once a process."""
    return httpx.create_ssl_context()


class ChannelDown(Unavailable):
    """No answer, or a 5xx: whether it was done is not known. Safe to repeat."""

    code = "channel_unavailable"
    title = "The payment channel does not answer"


class ChannelRefused(Conflict):
    """The channel said no; nothing was done. `reason` is its own code."""

    code = "channel_refused"
    title = "The payment channel refused"

    @property
    def reason(self) -> str:
        return str(self.members["reason"])


class RefundState(msgspec.Struct):
    reference: str
    psp_reference: str
    status: str  # succeeded | failed
    amount_minor: int
    currency: str


class PaymentState(msgspec.Struct):
    """An attempt as the provider knows it."""

    reference: str
    psp_reference: str
    status: str  # pending | refused | authorized | captured | canceled
    amount_minor: int
    currency: str
    captured_minor: int
    action: dict[str, str]
    refunds: list[RefundState]


class RefundTaken(msgspec.Struct):
    psp_reference: str


class SandboxProvider:
    """One client a process; `close` it at the end."""

    def __init__(self, base_url: str, api_key: str, notify_url: str) -> None:
        self._notify_url = notify_url
        self._http = httpx.AsyncClient(
            base_url=base_url,
            headers={"X-API-Key": api_key},
            timeout=httpx.Timeout(CALL_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            limits=httpx.Limits(
                max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_IDLE_MAX
            ),
            verify=_certificates(),
            trust_env=False,  # a proxy of the operator's shell is not meant for money
        )

    async def authorise(
        self,
        reference: str,
        amount_minor: int,
        currency: str,
        *,
        manual_capture: bool,
        return_url: str | None,
    ) -> PaymentState:
        """Open an attempt; the buyer goes on at `action`."""
        body = {
            "reference": reference,
            "amount_minor": amount_minor,
            "currency": currency,
            "capture": "manual" if manual_capture else "automatic",
            "return_url": return_url,
            "notify_url": self._notify_url,
        }
        return msgspec.json.decode(await self._call("POST", "/v1/payments", body), type=PaymentState)

    async def status(self, reference: str) -> PaymentState | None:
        """The attempt, or None: the provider has never heard of it."""
        try:
            raw = await self._call("GET", f"/v1/payments/{reference}")
        except ChannelRefused as error:
            if error.reason == "payment_not_found":
                return None
            raise
        return msgspec.json.decode(raw, type=PaymentState)

    async def capture(self, reference: str, amount_minor: int, currency: str) -> None:
        """Take authorized money; an event follows."""
        body = {"reference": reference, "amount_minor": amount_minor, "currency": currency}
        await self._call("POST", f"/v1/payments/{reference}/captures", body)

    async def cancel(self, reference: str) -> None:
        """Give an attempt up. Raises ChannelRefused when it is captured or unknown."""
        await self._call("POST", f"/v1/payments/{reference}/cancels")

    async def refund(
        self, payment_reference: str, reference: str, amount_minor: int, currency: str
    ) -> RefundTaken:
        """Give captured money back; an event follows."""
        body = {"reference": reference, "amount_minor": amount_minor, "currency": currency}
        raw = await self._call("POST", f"/v1/payments/{payment_reference}/refunds", body)
        return msgspec.json.decode(raw, type=RefundTaken)

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
        try:
            response = await self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise ChannelDown(f"sandbox: {type(error).__name__}") from error
        if response.status_code >= 500 or response.status_code == 429:
            raise ChannelDown(f"sandbox: status {response.status_code}")
        if not response.is_success:
            raise ChannelRefused(f"sandbox: {response.text[:200]}", reason=_reason(response))
        return response.content

    async def close(self) -> None:
        await self._http.aclose()


def _reason(response: httpx.Response) -> str:
    try:
        return str(response.json()["code"])
    except (ValueError, KeyError, TypeError):
        return f"status_{response.status_code}"
