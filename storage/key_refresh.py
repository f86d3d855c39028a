"""Adopting the data keys that a rotation made, without a restart."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from storage.crypto import KeyRing
from storage.journal.interface import JournalError
from storage.key_wrapping import EncryptionKeyError

log = structlog.get_logger()


async def refresh_forever(
    keys: KeyRing, every_s: float, pause: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Read the data keys again every so many seconds: a new one is current here at most that much later.

    One that cannot be read leaves the ring as it is, and is tried again.
    """
    while True:
        await pause(every_s)
        before = keys.current
        try:
            await keys.refresh()
        except (EncryptionKeyError, JournalError, OSError) as error:
            log.warning("data_keys_not_read", error=repr(error))
        else:
            if keys.current != before:
                log.info("data_key_adopted", key=keys.current)
