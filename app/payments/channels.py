"""The channels through which an order can be paid, from the settings.

Adyen's and Stripe's own formats come later as further providers; the rest of the slice knows only
`Channel`.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from app.lib.errors import Unprocessable
from app.payments.provider import SandboxProvider
from app.settings import Settings


class ChannelUnknown(Unprocessable):
    code = "channel_unknown"
    title = "There is no such channel or method"


class Channel(msgspec.Struct, frozen=True):
    """`manual_capture`: an authorization is as good as money for the order; we take the money afterwards."""

    name: str
    methods: tuple[str, ...]
    manual_capture: bool
    provider: SandboxProvider


class Channels:
    """What is configured; one a process."""

    def __init__(self, settings: Settings) -> None:
        sandbox = SandboxProvider(settings.sandbox_url, settings.sandbox_api_key, settings.base_url())
        self._channels = {
            "sandbox": Channel("sandbox", ("card", "wallet"), settings.sandbox_manual_capture, sandbox)
        }

    def __iter__(self) -> Iterator[Channel]:
        return iter(self._channels.values())

    def named(self, name: str) -> Channel:
        """Raises ChannelUnknown."""
        channel = self._channels.get(name)
        if channel is None:
            raise ChannelUnknown(f"channels: {', '.join(self._channels)}")
        return channel

    def offering(self, name: str, method: str) -> Channel:
        """Raises ChannelUnknown."""
        channel = self.named(name)
        if method not in channel.methods:
            raise ChannelUnknown(f"{name} takes: {', '.join(channel.methods)}")
        return channel

    async def close(self) -> None:
        for channel in self:
            await channel.provider.close()
