"""The frames of `atrium.v1` as types: what a client may send, what a server sends. The tag is the field `t`."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

SEQ_MAX = 2**53 - 1

Seq = Annotated[int, Meta(ge=1, le=SEQ_MAX)]
Version = Annotated[int, Meta(ge=0, le=SEQ_MAX)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Stamp = Annotated[str, Meta(max_length=100)]
Device = Annotated[str, Meta(max_length=64)]
Token = Annotated[str, Meta(max_length=16_384)]
Reference = Annotated[int, Meta(ge=-SEQ_MAX, le=SEQ_MAX)] | Annotated[str, Meta(max_length=200)]
Mode = Literal["patch", "state"]


class ClientFrame(msgspec.Struct, tag_field="t"):
    pass


class Wanted(msgspec.Struct):
    """A channel to subscribe with the hello. `have` maps `kind/id` to the version the client holds."""

    ch: Name
    have: dict[str, Version] = {}
    mode: Mode = "patch"


class Hello(ClientFrame, tag="hello"):
    """The first frame, also the resume. `first_unacked` is the lowest `seq` the device has no result for."""

    v: tuple[int, int]
    device_id: Device = ""
    epoch: Version = 0
    token: Token = ""
    hlc: Stamp = ""
    first_unacked: Seq = 1
    subs: list[Wanted] = []


class Subscribe(ClientFrame, tag="subscribe"):
    id: Reference
    ch: Name
    have: dict[str, Version] = {}
    mode: Mode = "patch"


class Unsubscribe(ClientFrame, tag="unsubscribe"):
    ch: Name
    id: Reference | None = None


class Command(ClientFrame, tag="command"):
    epoch: Version
    seq: Seq
    ent: Name
    op: Name
    args: dict[str, Any] = {}
    base_ver: Version | None = None
    base_fver: Version | None = None
    hlc: Stamp = ""
    schema: Annotated[int, Meta(ge=1, le=SEQ_MAX)] = 1


class Ack(ClientFrame, tag="ack"):
    results_upto: Version


class ClientPresence(ClientFrame, tag="presence"):
    """What this connection shows of itself on a channel that it subscribes; an empty `state` takes it back."""

    ch: Name
    state: dict[str, Any] = {}


class ClientSignal(ClientFrame, tag="signal"):
    ent: Name
    name: Name
    args: dict[str, Any] = {}


class Auth(ClientFrame, tag="auth"):
    token: Token


class Pong(ClientFrame, tag="pong"):
    n: Version


AnyClientFrame = Hello | Subscribe | Unsubscribe | Command | Ack | ClientPresence | ClientSignal | Auth | Pong
CLIENT_FRAMES: dict[str, type[ClientFrame]] = {
    "hello": Hello,
    "subscribe": Subscribe,
    "unsubscribe": Unsubscribe,
    "command": Command,
    "ack": Ack,
    "presence": ClientPresence,
    "signal": ClientSignal,
    "auth": Auth,
    "pong": Pong,
}


class ServerFrame(msgspec.Struct, tag_field="t", omit_defaults=True):
    pass


class Welcome(ServerFrame, tag="welcome"):
    """`last_seq`: commands up to it were accepted before; sent again they give their result again.

    `token_ttl` in seconds, absent without expiry.
    """

    v: int
    conn_id: str
    resumed: bool
    last_seq: int
    ping_ms: int
    limits: dict[str, int]
    hlc: str
    token_ttl: int | UnsetType = UNSET
    session: str = ""
    """The provider session (`session/{id}`) that keeps this device's count; absent where the device keeps it."""


class Subscribed(ServerFrame, tag="subscribed"):
    ch: str
    id: Reference | UnsetType = UNSET


class Entry(msgspec.Struct):
    ent: str
    ver: int
    state: msgspec.Raw


class Snapshot(ServerFrame, tag="snapshot"):
    """Entities newer than the client's `have`; a client applies all parts together on `last`.

    `gone`, in the last part: what `have` names and does not belong to the group any more.
    """

    ch: str
    part: int
    last: bool
    entities: list[Entry]
    gone: list[str] = []


class Origin(msgspec.Struct, frozen=True):
    device_id: str
    epoch: int
    seq: int


class ChangeFrame(ServerFrame, tag="change"):
    """Either `patch` (RFC 7396, from `ver - 1`) or the whole `state`.

    `by` is there when the command came through this gateway lately.
    """

    ch: str
    ent: str
    ver: int
    hlc: str
    patch: msgspec.Raw | UnsetType = UNSET
    state: msgspec.Raw | UnsetType = UNSET
    by: Origin | UnsetType = UNSET
    left: bool = False
    """The entity does not belong to this group any more: this is the last that the channel tells of it."""


class Result(ServerFrame, tag="result"):
    """The outcome of a command, final. `reply` is the entity's small answer (a new order's id).

    `conflict_id` names the conflict record that keeps both values. `by` is who has what was asked for exclusively.
    `quarantined`: the command is kept, under this id, for people to look at.
    """

    epoch: int
    seq: int
    status: Literal["applied", "duplicate", "conflict", "rejected"]
    ent: str
    ver: int | UnsetType = UNSET
    code: str = ""
    detail: str = ""
    correlation: str = ""
    current: Any = UNSET
    conflict_id: str = ""
    by: str = ""
    quarantined: str = ""
    reply: dict[str, Any] | UnsetType = UNSET
    original: dict[str, Any] | UnsetType = UNSET
    errors: list[dict[str, str]] | UnsetType = UNSET


class ServerSignal(ServerFrame, tag="signal"):
    ch: str
    ent: str
    name: str
    args: msgspec.Raw
    hlc: str


class Present(msgspec.Struct, frozen=True):
    """One connection on a channel. `id` is the connection's; `since` and `state` are for people."""

    id: str
    subject: str
    device_id: str
    since: str
    state: dict[str, Any]


class ServerPresence(ServerFrame, tag="presence"):
    """Who came to a channel, changed what they show, and left (connection ids). Never refused, never replayed."""

    ch: str
    joins: list[Present] = []
    updates: list[Present] = []
    leaves: list[str] = []


class AuthRequired(ServerFrame, tag="auth_required"):
    in_s: int


class AuthOk(ServerFrame, tag="auth_ok"):
    token_ttl: int | UnsetType = UNSET


class Ping(ServerFrame, tag="ping"):
    n: int


class Error(ServerFrame, tag="error"):
    """`ref` is what the refused frame (`of`) was known by: a `seq`, a subscription's `id`, or a channel.

    Not `temporary`: do not send it again. `expected` comes with code `gap`.
    """

    ref: int | str
    code: str
    temporary: bool
    retry_after_ms: int
    of: str = ""
    detail: str = ""
    expected: int | UnsetType = UNSET


class Goaway(ServerFrame, tag="goaway"):
    """This gateway leaves within `drain_ms`; come back elsewhere after `backoff` (ms, full jitter)."""

    drain_ms: int
    backoff: tuple[int, int]
