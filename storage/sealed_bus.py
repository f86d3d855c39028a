"""Messages over Redis that whoever reads Redis cannot read, and whoever writes to it cannot make up.

The same two calls as `storage.bus.Bus`. A message that does not open counts as one that was missed: it was sealed by
a data key that is not known here yet, or is nobody's of this installation.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import structlog

from storage.crypto import KeyRing, SealError, UnknownKeyError
from storage.journal.interface import JournalError
from storage.key_wrapping import EncryptionKeyError
from storage.message_seal import MessageOpener, MessageSealer

log = structlog.get_logger()

MISSED_PAUSE_SECONDS: Final = 1.0
"""Between two times that one subscriber is told that it missed something, however often it does."""


class Listening(Protocol):
    async def close(self) -> None: ...


class ClearBus(Protocol):
    """`storage.bus.Bus`."""

    def publish(self, channel: str, payload: bytes) -> None: ...
    async def subscribe(
        self, channel: str, on_message: Callable[[bytes], None], on_reconnect: Callable[[], None]
    ) -> Listening: ...


class SealedBus:
    """`refused` counts messages that did not open, `repeated` those that came again."""

    def __init__(
        self,
        bus: ClearBus,
        keys: KeyRing,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.refused = 0
        self.repeated = 0
        self._bus = bus
        self._keys = keys
        self._pause = pause
        self._sealer = MessageSealer(keys)
        self.ears: list[_Ear] = []

    async def close(self) -> None:
        """End all subscriptions; the bus beneath is its owner's to close."""
        for ear in list(self.ears):
            await ear.close()

    def publish(self, channel: str, payload: bytes) -> None:
        """Sealed for this channel; otherwise as `Bus.publish`."""
        self._bus.publish(channel, self._sealer.seal(payload, channel))

    async def subscribe(
        self, channel: str, on_message: Callable[[bytes], None], on_reconnect: Callable[[], None]
    ) -> Listening:
        """As `Bus.subscribe`, but `on_reconnect` is called at most once in `MISSED_PAUSE_SECONDS`."""
        ear = _Ear(self, channel, on_message, on_reconnect)
        self.ears.append(ear)
        ear.listening = await self._bus.subscribe(channel, ear.hear, ear.missed)
        return ear

    async def learn_keys(self) -> None:
        """Read the data keys again. When they cannot be read, that is logged."""
        try:
            await self._keys.refresh()
        except (EncryptionKeyError, JournalError, OSError) as error:
            log.warning("data_keys_not_read", error=repr(error))

    def opener(self, channel: str) -> MessageOpener:
        return MessageOpener(self._keys, channel)

    async def pause(self) -> None:
        await self._pause(MISSED_PAUSE_SECONDS)


class _Ear:
    """One subscription."""

    def __init__(
        self, bus: SealedBus, channel: str, on_message: Callable[[bytes], None], on_missed: Callable[[], None]
    ) -> None:
        self.listening: Listening | None = None
        self._bus = bus
        self._channel = channel
        self._opener = bus.opener(channel)
        self._on_message = on_message
        self._on_missed = on_missed
        self._has_missed = False
        self._lacks_key = False
        self._telling: asyncio.Task[None] | None = None

    async def close(self) -> None:
        if self.listening is not None:
            await self.listening.close()
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)
        if self in self._bus.ears:
            self._bus.ears.remove(self)

    def hear(self, message: bytes) -> None:
        try:
            payload = self._opener.open(message)
        except SealError as error:
            self._bus.refused += 1
            self._lacks_key = self._lacks_key or isinstance(error, UnknownKeyError)
            if not self._has_missed:
                log.warning("bus_message_refused", channel=self._channel, error=str(error))
            self.missed()
            return
        if payload is None:
            self._bus.repeated += 1
        else:
            self._on_message(payload)

    def missed(self) -> None:
        """Something was missed: the subscriber is told, once for all that was by then."""
        self._has_missed = True
        if self._telling is None:
            self._telling = asyncio.get_running_loop().create_task(self._tell())

    async def _tell(self) -> None:
        try:
            while self._has_missed:
                if self._lacks_key:
                    await self._bus.learn_keys()
                self._has_missed = self._lacks_key = False
                try:
                    self._on_missed()
                except Exception:
                    log.exception("bus_callback_failed", channel=self._channel)
                await self._bus.pause()
        finally:
            self._telling = None
