"""Close codes of `atrium.v1`. 4000-4499: reconnect and resume. 4500-4999: stop; the device keeps its queue."""

from typing import Final

SHUTDOWN: Final = 4001
TOKEN_EXPIRED: Final = 4003
SLOW_CONSUMER: Final = 4008
INSUFFICIENT_STATE: Final = 4010
NO_PONG: Final = 4012
RATE: Final = 4013
STATE_INVALIDATED: Final = 4014

TOKEN_INVALID: Final = 4500
BAD_FRAME: Final = 4501
NO_HELLO: Final = 4502
DEVICE_REVOKED: Final = 4503
CONNECTION_LIMIT: Final = 4504
REPLACED: Final = 4505
VERSION: Final = 4506
FENCED: Final = 4507

STOP_FROM: Final = 4500
STOP_TO: Final = 4999


def may_reconnect(code: int) -> bool:
    """Whether a client that was closed with `code` should come back by itself."""
    return not STOP_FROM <= code <= STOP_TO
