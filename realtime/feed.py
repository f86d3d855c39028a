"""What a gateway remembers of a watched entity, a channel, and one connection's interest in a channel."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from actors.runtime.entity import Actor
from realtime.channels import Ref, is_clinical, is_personal
from realtime.codec import Codec
from realtime.frames import ChangeFrame, Origin, ServerSignal
from realtime.outbox import Key

if TYPE_CHECKING:
    from actors.runtime.wire import Change

UNKNOWN = -1
"""The version of a feed before anything was read."""

NOTHING: Final = b"\x80"
"""The patch that changes nothing."""

unpack = msgspec.msgpack.Decoder().decode


Tell = Callable[[str], Awaitable[None]]
"""Writes down that a channel or an entity is shown to one connection. What it raises must not be shown."""


class Subscriber(Protocol):
    """One connection, as the hub sees it. Nothing here may block or raise."""

    @property
    def codec(self) -> Codec: ...
    @property
    def actor(self) -> Actor: ...
    def deliver(self, frame: bytes, key: Key | None) -> None: ...
    def lost(self, channel: str, code: str) -> None:
        """The right to see this channel has ended; the subscription is gone."""


class Wants(msgspec.Struct, frozen=True):
    """How a connection is to be told of a channel.

    `as_state`: whole states, not patches. `coalesces`: when it is slow, the newest state replaces what waits.
    `witness` is told of what is shown, before it is.
    """

    as_state: bool = False
    coalesces: bool = False
    witness: Tell | None = None


PATCHES: Final = Wants()


class Update:
    """One step of an entity: a patch from `version - 1`, a whole view, or (version 0) a signal.

    `left` names the groups that it leaves with this step; a patch of `NOTHING` then says no more than that.
    Encodes itself once per encoding, whatever the number of channels and sockets.
    """

    __slots__ = ("_raws", "by", "hlc", "left", "patch", "signal", "state", "version", "view")

    def __init__(
        self,
        version: int,
        hlc: str,
        *,
        patch: bytes = b"",
        view: bytes = b"",
        state: Any = None,
        by: Origin | None = None,
        signal: str = "",
        left: tuple[str, ...] = (),
    ) -> None:
        self.version = version
        self.hlc = hlc
        self.patch = patch
        self.view = view
        self.state = state
        self.by = by
        self.signal = signal
        self.left = left
        self._raws: dict[tuple[Codec, bool], msgspec.Raw] = {}

    def frame(self, channel: str, ent: str, codec: Codec, *, as_state: bool) -> bytes:
        if self.signal:
            args = self._raw(codec, as_state=False)
            return codec.encode(ServerSignal(ch=channel, ent=ent, name=self.signal, args=args, hlc=self.hlc))
        whole = not self.patch or (as_state and self.state is not None)
        raw = self._raw(codec, as_state=whole)
        frame = ChangeFrame(ch=channel, ent=ent, ver=self.version, hlc=self.hlc, left=channel in self.left)
        if whole:
            frame.state = raw
        else:
            frame.patch = raw
        if self.by is not None:
            frame.by = self.by
        return codec.encode(frame)

    def left_behind(self, channel: str, seen: int) -> "Update":
        """This leaving, for whom was shown the entity at `seen`: a later version is no proof that it is back.

        If it is, the change with which it came finds that the group has not got it, and tells the whole.
        """
        return self if self.version >= seen else Update(seen, self.hlc, patch=NOTHING, left=(channel,))

    def _raw(self, codec: Codec, *, as_state: bool) -> msgspec.Raw:
        raw = self._raws.get((codec, as_state))
        if raw is None:
            if not as_state:
                raw = codec.raw(self.patch)
            elif self.view:
                raw = codec.raw(self.view)
            else:
                raw = codec.value(self.state)
            self._raws[codec, as_state] = raw
        return raw


class Sub:
    """One connection's interest in one channel.

    `pending` holds what came since registration while the state is being read; None once the snapshot is out.
    `ahead` names entities of which this connection already has a later version than the feed has seen.
    `as_state`, `coalesces` are what it `Wants`.
    `seen`, on a personal and on a clinical group, has the entities of which it was asked whether this subscriber may
    see them, True for those that it may. None on all others: there, who may see the group may see its members.
    `witness` is told of each member of a clinical group that joins later, before it is shown.
    """

    __slots__ = ("ahead", "as_state", "channel", "coalesces", "overflowed", "pending", "seen", "subscriber", "witness")

    def __init__(self, subscriber: Subscriber, channel: "Channel", wants: Wants) -> None:
        self.subscriber = subscriber
        self.channel = channel
        self.as_state = wants.as_state
        self.coalesces = wants.coalesces or wants.as_state
        self.pending: list[tuple[Feed, Update]] | None = []
        self.overflowed = False
        self.ahead: dict[str, int] = {}
        clinical = is_clinical(channel.name)
        self.seen: dict[str, bool] | None = {} if clinical or is_personal(channel.name) else None
        self.witness = wants.witness if clinical else None

    def admit(self, reads: Iterable["Read"]) -> None:
        """These were read in the subscriber's own name."""
        if self.seen is not None:
            self.seen |= {f"{read.ref[0]}/{read.ref[1]}": True for read in reads}

    def departed(self) -> set[str]:
        """Of which entities the last thing heard, while the state was read, is that they left the group."""
        gone: set[str] = set()
        for feed, update in self.pending or ():
            if self.channel.name in update.left:
                gone.add(feed.ent)
            elif not update.signal:
                gone.discard(feed.ent)
        return gone

    def sees(self, ent: str) -> bool:
        return self.seen is None or self.seen.get(ent, False)


class Channel:
    """`ref` is the entity of `kind/id`, None for a group; a group's `members` are in order of their last change.

    `departed`: those that left lately, so that nobody who fell behind is told their newest state as if they had not.
    """

    __slots__ = (
        "catch_up_at",
        "departed",
        "idle_since",
        "members",
        "name",
        "ref",
        "renew_at",
        "renewing",
        "subs",
        "turn",
        "watched",
    )

    def __init__(self, name: str, ref: Ref | None) -> None:
        self.name = name
        self.ref = ref
        self.subs: dict[Subscriber, Sub] = {}
        self.members: dict[Ref, Feed] = {}
        self.departed: dict[Ref, None] = {}
        self.watched = False
        self.renewing = False
        self.renew_at = 0.0
        self.catch_up_at = 0.0
        self.idle_since: float | None = None
        self.turn = 0

    def live(self) -> bool:
        return any(sub.pending is None for sub in self.subs.values())

    def next_actor(self) -> Actor | None:
        """The subscribers' actors in turn, so that everybody's right to see is asked again now and then."""
        if not self.subs:
            return None
        self.turn += 1
        subscribers = list(self.subs)
        return subscribers[self.turn % len(subscribers)].actor

    def ask_again(self) -> None:
        """Whoever was refused an entity may have been too early, or has other rights by now."""
        for sub in self.subs.values():
            if sub.seen is not None:
                sub.seen = {ent: True for ent, admitted in sub.seen.items() if admitted}

    def askers(self) -> list[Actor]:
        """In whose names to read a member: of a personal group in each, for their rights may differ."""
        actor = self.next_actor()
        if actor is None or not is_personal(self.name):
            return [] if actor is None else [actor]
        return [actor, *{one.actor: None for one in self.subs if one.actor != actor}]


class Feed:
    """One watched entity. Every live subscription stands at `version`, except those `ahead`.

    `state` is kept, decoded, only where a subscription may need the whole of it later.
    """

    __slots__ = (
        "attempts",
        "ent",
        "groups",
        "own",
        "ref",
        "resyncing",
        "state",
        "state_version",
        "version",
        "waiting",
    )

    def __init__(self, ref: Ref) -> None:
        self.ref = ref
        self.ent = f"{ref[0]}/{ref[1]}"
        self.version = UNKNOWN
        self.own: Channel | None = None
        self.groups: dict[str, Channel] = {}
        self.resyncing = False
        self.attempts = 0
        self.waiting: list[Change] = []
        self.state: Any = None
        self.state_version = UNKNOWN

    def channels(self) -> Iterator[Channel]:
        if self.own is not None:
            yield self.own
        yield from self.groups.values()

    def live(self) -> bool:
        return any(channel.live() for channel in self.channels())

    def wanted(self) -> bool:
        return any(channel.subs for channel in self.channels())

    def keeps_state(self) -> bool:
        return any(sub.coalesces for channel in self.channels() for sub in channel.subs.values())


class Read(msgspec.Struct, frozen=True):
    """What an entity answered: its version, and its view (msgpack) unless the reader has that version."""

    ref: Ref
    version: int
    view: bytes
