"""The hub's memory, without I/O: which channels and entities are watched, and what each change means for whom.

The promise to every subscription: a snapshot, then every later version of each entity exactly once and in order,
each either as a patch from the version before or as a whole state. A missing version is never skipped over:
`on_gap` is called, and `resynced` continues from the state that was read.
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec
import structlog

from actors.runtime.wire import Change
from domain.merge_patch import apply
from realtime.channels import Ref
from realtime.feed import UNKNOWN, Channel, Feed, Read, Sub, Subscriber, Update, unpack
from realtime.frames import ChangeFrame, Entry, Origin, Reference, Snapshot, Subscribed
from domain.hlc import stamp
from realtime.limits import Limits

log = structlog.get_logger()


class Table:
    def __init__(self, limits: Limits, on_gap: Callable[[Feed], None], wall_ms: Callable[[], int]) -> None:
        self.channels: dict[str, Channel] = {}
        self.feeds: dict[Ref, Feed] = {}
        self.resyncs = 0
        self._limits = limits
        self._on_gap = on_gap
        self._wall_ms = wall_ms
        self._origins: dict[bytes, tuple[str, int, int]] = {}
        self._older_origins: dict[bytes, tuple[str, int, int]] = {}

    # -- subscriptions ----------------------------------------------------------------------------

    def join(
        self, subscriber: Subscriber, name: str, ref: Ref | None, *, as_state: bool = False, coalesces: bool = False
    ) -> Sub:
        """Register interest; what changes from now on is held until `activate`. Replaces an earlier one."""
        channel = self.channels.get(name)
        if channel is None:
            channel = self.channels[name] = Channel(name, ref)
        channel.idle_since = None
        sub = channel.subs[subscriber] = Sub(subscriber, channel, as_state=as_state, coalesces=coalesces)
        if ref is not None:
            self._feed(ref).own = channel
        return sub

    def leave(self, subscriber: Subscriber, name: str, now: float) -> None:
        channel = self.channels.get(name)
        if channel is None or channel.subs.pop(subscriber, None) is None or channel.subs:
            return
        if channel.watched:
            channel.idle_since = now
        else:
            self.drop(channel)

    def drop(self, channel: Channel) -> None:
        """Forget a channel that nobody subscribes, and the entities that no other channel needs."""
        self.channels.pop(channel.name, None)
        if channel.ref is not None:
            feed = self.feeds.get(channel.ref)
            if feed is not None:
                feed.own = None
                self._forget(feed)
        for feed in list(channel.members.values()):
            self.expel(channel, feed)

    def expel(self, channel: Channel, feed: Feed) -> None:
        """An entity is no longer followed in this group."""
        channel.members.pop(feed.ref, None)
        feed.groups.pop(channel.name, None)
        self._forget(feed)

    def _forget(self, feed: Feed) -> None:
        if feed.own is None and not feed.groups:
            self.feeds.pop(feed.ref, None)

    def _feed(self, ref: Ref) -> Feed:
        feed = self.feeds.get(ref)
        if feed is None:
            feed = self.feeds[ref] = Feed(ref)
        return feed

    def _enrol(self, channel: Channel, feed: Feed) -> bool:
        """`feed` belongs to the group; it goes to the end of the line, the front falls out when full.

        True when the group's subscribers have not been told of it before.
        """
        members = channel.members
        new = members.pop(feed.ref, None) is None
        feed.groups[channel.name] = channel
        members[feed.ref] = feed
        if len(members) > self._limits.group_members_max:
            self.expel(channel, next(iter(members.values())))
        return new

    # -- the snapshot -----------------------------------------------------------------------------

    def activate(self, sub: Sub, reads: Sequence[Read], have: dict[str, int], ref: Reference | None) -> None:
        """The state has been read: hand over `subscribed`, the snapshot, then what came later."""
        fresh: list[Read] = []
        delivered: dict[str, int] = {}
        unheard: list[Feed] = []
        others = sub.channel.live()
        for read in reads:
            feed = self._feed(read.ref)
            if sub.channel.ref is None and self._enrol(sub.channel, feed) and others:
                unheard.append(feed)
            if feed.version == UNKNOWN and not feed.resyncing and not feed.live():
                feed.version = read.version
            if sub.coalesces and feed.state is None and read.view:
                feed.state, feed.state_version = unpack(read.view), read.version
            delivered[feed.ent] = read.version
            if read.view and have.get(feed.ent) != read.version:
                fresh.append(read)
        self._snapshot(sub, fresh, ref)
        pending, sub.pending = sub.pending or [], None
        for feed, update in pending:
            self._catch_up(sub, feed, update, delivered)
        for ent, version in delivered.items():
            kind, _, id_ = ent.partition("/")
            known = self.feeds.get((kind, id_))
            if known is None or version > known.version:
                sub.ahead[ent] = version
            elif version < known.version:
                self._start_over(known)
        for feed in unheard:
            self._start_over(feed, unheard_by=sub.channel)
            sub.ahead[feed.ent] = delivered[feed.ent]

    def _snapshot(self, sub: Sub, reads: Iterable[Read], ref: Reference | None) -> None:
        subscriber, name = sub.subscriber, sub.channel.name
        codec = subscriber.codec
        subscriber.deliver(codec.encode(Subscribed(ch=name, id=msgspec.UNSET if ref is None else ref)), None)
        part, size = 0, 0
        entries: list[Entry] = []
        for read in reads:
            raw = codec.raw(read.view)
            if entries and size + len(memoryview(raw)) > self._limits.snapshot_part_bytes_max:
                subscriber.deliver(codec.encode(Snapshot(name, part, last=False, entities=entries)), None)
                part, size, entries = part + 1, 0, []
            entries.append(Entry(f"{read.ref[0]}/{read.ref[1]}", read.version, raw))
            size += len(memoryview(raw))
        subscriber.deliver(codec.encode(Snapshot(name, part, last=True, entities=entries)), None)

    def _catch_up(self, sub: Sub, feed: Feed, update: Update, delivered: dict[str, int]) -> None:
        """Deliver what came between registration and snapshot, unless the snapshot has it."""
        before = delivered.get(feed.ent, 0)
        if not update.signal:
            if feed.state is not None and update.patch and feed.state_version == update.version - 1:
                feed.state, feed.state_version = apply(feed.state, unpack(update.patch)), update.version
            if update.version <= before:
                return
            if update.patch and update.version != before + 1:
                self._start_over(feed)
                return
            delivered[feed.ent] = update.version
        self._hand(sub, feed, update, {})

    # -- changes ----------------------------------------------------------------------------------

    def note_origin(self, command_id: bytes, device_id: str, epoch: int, seq: int) -> None:
        """Remember whose command this is, so that its change can say so."""
        self._origins[command_id] = (device_id, epoch, seq)
        if len(self._origins) * 2 > self._limits.origins_max:
            self._older_origins, self._origins = self._origins, {}

    def changed(self, changes: Iterable[Change]) -> None:
        """What hosts published. Isolated: one change that cannot be handled does not stop the others."""
        for change in changes:
            feed = self._addressed(change)
            if feed is None:
                continue
            try:
                if change.signal:
                    self._signal(feed, change)
                else:
                    self._advance(feed, change)
            except (msgspec.DecodeError, ValueError) as error:
                log.warning("change_unreadable", kind=change.kind, id=change.id, error=repr(error))
                self._start_over(feed)

    def resynced(self, feed: Feed, version: int, view: bytes) -> None:
        """The state was read after a gap (or a renewal): continue from it."""
        feed.resyncing = False
        waiting, feed.waiting = feed.waiting, []
        self.refreshed(feed, version, view)
        for change in waiting:
            self._advance(feed, change)
        if not feed.resyncing:
            feed.attempts = 0

    def refreshed(self, feed: Feed, version: int, view: bytes) -> None:
        """A read gave this; if it is news, everybody gets the whole state."""
        if not view or version <= feed.version:
            return
        feed.version = version
        state = None
        if feed.state is not None or feed.keeps_state():
            state = feed.state = unpack(view)
            feed.state_version = version
        self._emit(feed, Update(version, stamp(self._wall_ms()), view=view, state=state))

    def found(self, channel: Channel, read: Read) -> None:
        """A member of a watched group as it was just read: news if it is later than what was delivered."""
        if self.channels.get(channel.name) is not channel:
            return
        feed = self._feed(read.ref)
        if self._enrol(channel, feed) and feed.version != UNKNOWN:
            self._start_over(feed, unheard_by=channel)
        elif not feed.resyncing:
            self.refreshed(feed, read.version, read.view)

    def newest(self, channel: str, ent: str, subscriber: Subscriber) -> bytes | None:
        """The newest state for a consumer that fell behind; None when it comes later or is no longer wanted."""
        here = self.channels.get(channel)
        if here is None or subscriber not in here.subs:
            return None
        kind, _, id_ = ent.partition("/")
        feed = self._feed((kind, id_))
        if here.ref is None:
            self._enrol(here, feed)
        if feed.state is None:
            self._start_over(feed)
            return None
        codec = subscriber.codec
        frame = ChangeFrame(channel, ent, feed.state_version, stamp(self._wall_ms()), state=codec.value(feed.state))
        return codec.encode(frame)

    def _addressed(self, change: Change) -> Feed | None:
        ref = (change.kind, change.id)
        feed = self.feeds.get(ref)
        for name in change.groups:
            channel = self.channels.get(name)
            if channel is not None and channel.ref is None:
                if feed is None:
                    feed = self._feed(ref)
                if self._enrol(channel, feed) and feed.version != UNKNOWN:
                    # followed elsewhere already, but this group has not got what to patch
                    self._start_over(feed, unheard_by=channel)
        return self.feeds.get(ref)

    def _advance(self, feed: Feed, change: Change) -> None:
        version = change.version
        if version <= feed.version:
            return
        if feed.resyncing:
            if len(feed.waiting) >= self._limits.pending_changes_max:
                feed.waiting.clear()  # what follows is a gap again, and is read again
            feed.waiting.append(change)
            return
        known = feed.version != UNKNOWN
        if version != feed.version + 1 if known else version != 1 and feed.live():
            self._gap(feed)
            feed.waiting.append(change)
            return
        feed.version = version
        state = None
        if feed.state is not None and feed.state_version == version - 1:
            state = apply(feed.state, unpack(change.patch))
        elif version == 1 and feed.keeps_state():
            state = unpack(change.patch)
        if state is not None:
            feed.state, feed.state_version = state, version
        origin = self._origins.get(change.command_id) or self._older_origins.get(change.command_id)
        by = None if origin is None else Origin(*origin)
        self._emit(feed, Update(version, stamp(change.time_ms), patch=change.patch, state=state, by=by))

    def _signal(self, feed: Feed, change: Change) -> None:
        self._emit(feed, Update(0, stamp(change.time_ms), patch=change.patch, signal=change.signal))

    def _emit(self, feed: Feed, update: Update) -> None:
        for channel in feed.channels():
            frames: dict[tuple[str, bool], bytes] = {}
            for sub in channel.subs.values():
                if sub.pending is not None:
                    self._hold(sub, feed, update)
                    continue
                if sub.ahead and not update.signal:
                    ahead = sub.ahead.get(feed.ent, UNKNOWN)
                    if update.version >= ahead:
                        sub.ahead.pop(feed.ent, None)
                    if update.version <= ahead:
                        continue
                self._hand(sub, feed, update, frames)

    def _hold(self, sub: Sub, feed: Feed, update: Update) -> None:
        if sub.pending is not None and not sub.overflowed:
            sub.pending.append((feed, update))
            if len(sub.pending) > self._limits.pending_changes_max:
                sub.pending.clear()
                sub.overflowed = True

    def _hand(self, sub: Sub, feed: Feed, update: Update, frames: dict[tuple[str, bool], bytes]) -> None:
        codec = sub.subscriber.codec
        name = sub.channel.name
        which = (codec.subprotocol, sub.as_state)
        frame = frames.get(which)
        if frame is None:
            frame = frames[which] = update.frame(name, feed.ent, codec, as_state=sub.as_state)
        sub.subscriber.deliver(frame, (name, feed.ent, update.signal) if sub.coalesces else None)

    def _start_over(self, feed: Feed, *, unheard_by: Channel | None = None) -> None:
        """What this gateway holds of the entity is not good enough: read it, and tell everybody the whole.

        With `unheard_by`, only that group lacks it: the others are told when there is news.
        """
        if unheard_by is not None and feed.version != UNKNOWN:
            for channel in feed.channels():
                for sub in channel.subs.values() if channel is not unheard_by else ():
                    if sub.pending is None:
                        sub.ahead.setdefault(feed.ent, feed.version)
        feed.version = UNKNOWN
        feed.state, feed.state_version = None, UNKNOWN
        self._gap(feed)

    def _gap(self, feed: Feed) -> None:
        if not feed.resyncing:
            feed.resyncing = True
            self.resyncs += 1
            self._on_gap(feed)
