"""What crosses between a gateway and an entity host: batches of envelopes out, batches of replies back.

Everything is msgpack in positional arrays: the Ray call itself carries bytes.
"""

from typing import Any, Final

import msgspec

from actors.runtime.entity import Actor
from domain.errors import Failure

COMMAND: Final = 0
READ: Final = 1
WATCH: Final = 2
UNWATCH: Final = 3
WATCH_GROUP: Final = 4
UNWATCH_GROUP: Final = 5

VIEW_NONE: Final = 0
VIEW_JSON: Final = 1
VIEW_MSGPACK: Final = 2

OK: Final = 0
FAILED: Final = 1
NOT_OWNER: Final = 2
RETRY: Final = 3


class Envelope(msgspec.Struct, array_like=True):
    """One request to one entity.

    `corr` pairs the reply within one client. `body` is the msgpack command; `body_hash` is the first 16 bytes
    of the SHA-256 of what the caller sent. `deadline_ms` is wall-clock milliseconds. `expect` is the version
    the caller insists on (-1: any). `retry` > 0 says that this command id may have been executed before;
    the client counts, callers that were given an id from outside start at 1. `generation` numbers the connections of
    one person's `device`, 0 for none: what an older one sends is refused once a newer one has been heard.
    """

    corr: int
    mode: int
    kind: str
    id: str
    body: bytes
    command_id: bytes
    body_hash: bytes
    actor: Actor
    device: str
    correlation: str
    deadline_ms: int
    want: int = VIEW_NONE
    expect: int = -1
    retry: int = 0
    hlc: str = ""
    hlc_raw: str = ""
    generation: int = 0


class Reply(msgspec.Struct, array_like=True):
    """The answer to one envelope. `view` is already encoded as asked; `data` is the decision's reply map.

    `noop`: a command was accepted and nothing was written, so that a repeat of it is decided anew.
    """

    corr: int
    status: int
    version: int = 0
    duplicate: bool = False
    data: dict[str, Any] | None = None
    view: bytes = b""
    failure: Failure | None = None
    noop: bool = False


class Change(msgspec.Struct, array_like=True):
    """One accepted change of a watched entity, as published to gateways.

    `patch` is the msgpack of an RFC 7396 merge patch from `version - 1`, or of the `whole` view where versions before
    it were not told; `signal` ones carry `name` and args.
    """

    kind: str
    id: str
    version: int
    patch: bytes
    groups: tuple[str, ...]
    device: str
    command_id: bytes
    time_ms: int
    signal: str = ""
    left: tuple[str, ...] = ()
    """Those of `groups` that the entity does not belong to any more."""
    whole: bool = False


class Outgoing(msgspec.Struct, array_like=True):
    """What a gateway sends in one call.

    `session` rises whenever the client gave up on earlier calls: their replies go to nobody any more.
    `number` counts the calls of one session from 0: a call that arrives twice is taken once.
    """

    client: str
    envelopes: list[Envelope]
    session: int = 0
    number: int = 0


class Incoming(msgspec.Struct, array_like=True):
    """What a host answers: the replies ready by now, its epoch and the shard map it goes by."""

    host_epoch: int
    map_version: int
    replies: list[Reply]
