"""Renewing the right to write after a commit whose outcome is unknown (invariant 2)."""

import asyncio

import structlog

from storage.journal.interface import Fenced, Lease, Placement

log = structlog.get_logger()

_PAUSE_SECONDS = 0.02
_PAUSE_SECONDS_MAX = 0.5


async def renewed(placement: Placement, lease: Lease) -> Lease:
    """A new epoch for the holder of `lease`, once nothing of the old one can land any more.

    Asks for as long as it takes. Raises `Fenced` when somebody else holds a newer one.
    """
    pause = _PAUSE_SECONDS
    while True:
        try:
            return await placement.take_epoch(lease.host, held=lease.epoch)
        except Fenced:
            raise
        except Exception as error:
            log.warning("lease_not_renewed", host=lease.host, error=repr(error))
            await asyncio.sleep(pause)
            pause = min(pause * 2, _PAUSE_SECONDS_MAX)
