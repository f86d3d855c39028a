"""What every session of a gateway shares."""

import asyncio
import time
from collections.abc import Callable

import msgspec

from realtime.hub import Hub, wall_ms
from realtime.limits import DEFAULTS, Limits
from realtime.ports import Authenticator, Clock, CommandPort, DeviceKeepsCount, Ledger, Revoked, Sleep, Witness
from realtime.presence import Presence

_KEEPS_COUNT = DeviceKeepsCount()


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """`presence` None: people do not see each other here. `revoked` None: tokens hold until they run
    out. `running` holds commands that outlive their socket."""

    hub: Hub
    port: CommandPort
    authenticator: Authenticator
    ledger: Ledger = _KEEPS_COUNT
    witness: Witness | None = None
    presence: Presence | None = None
    revoked: Revoked | None = None
    limits: Limits = DEFAULTS
    clock: Clock = time.monotonic
    wall: Callable[[], int] = wall_ms
    sleep: Sleep = asyncio.sleep
    running: set[asyncio.Task[None]] = msgspec.field(default_factory=set)
