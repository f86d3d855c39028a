"""The hub's memory, without I/O: which channels and entities are watched, and what each change means for whom.

The promise to every subscription: a snapshot, then every later version of each entity exactly once and in order,
each either as a patch from the version before or as a whole state, which may stand for several. A missing version is
never skipped over: `on_gap` is called, and `resynced` continues from the state that was read.
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec
import structlog

from actors.runtime.wire import Change
from domain.hlc import stamp
from domain.merge_patch import apply
from realtime.channels import Ref
from realtime.feed import NOTHING, PATCHES, UNKNOWN, Channel, Feed, Read, Sub, Subscriber, Update, Wants, unpack
from realtime.frames import ChangeFrame, Reference
from realtime.limits import Limits
from realtime.origins import Origins
from realtime.snapshot import deliver_snapshot

log = structlog.get_logger()


class Table:
    def __init__(
        self,
        limits: Limits,
        on_gap: Callable[[Feed], None],
        wall_ms: Callable[[], int],
        on_unseen: Callable[[Sub, Feed], None] = lambda _sub, _feed: None,
    ) -> None:
        """`on_unseen`: a group has news of an entity that this subscriber was not found to see (`Sub.seen`)."""
        self.channels: dict[str, Channel] = {}
        self.feeds: dict[Ref, Feed] = {}
        self.resyncs = 0
        self._limits = limits
        self._on_gap = on_gap
        self._on_unseen = on_unseen
        self._wall_ms = wall_ms
        self.origins = Origins(limits.origins_max)
        self.note_origin = self.origins.note
        """One for all sessions: each look at a method makes an object."""

    # -- subscriptions ----------------------------------------------------------------------------

    def join(self, subscriber: Subscriber, name: str, ref: Ref | None, wants: Wants = PATCHES) -> Sub:
        """Register interest; what changes from now on is held until `activate`. Replaces an earlier one."""
        channel = self.channels.get(name)
        if channel is None:
            channel = self.channels[name] = Channel(name, ref)
        channel.idle_since = None
        sub = channel.subs[subscriber] = Sub(subscriber, channel, wants)
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
        channel.departed.pop(feed.ref, None)
        new = members.pop(feed.ref, None) is None
        feed.groups[channel.name] = channel
        members[feed.ref] = feed
        if len(members) > self._limits.group_members_max:
            self.expel(channel, next(iter(members.values())))
        return new

    # -- the snapshot -----------------------------------------------------------------------------

    def activate(
        self, sub: Sub, reads: Sequence[Read], have: dict[str, int], ref: Reference | None, gone: Sequence[str] = ()
    ) -> None:
        """The state has been read: hand over `subscribed`, the snapshot, then what came later.

        `gone`: what the subscriber has and is in the group no more.
        """
        departed = sub.departed()
        fresh: list[Read] = []
        delivered: dict[str, int] = {}
        unheard: list[Feed] = []
        others = sub.channel.live()
        sub.admit(reads)
        for read in reads:
            feed = self._feed(read.ref)
            if sub.channel.ref is None and feed.ent not in departed and self._enrol(sub.channel, feed) and others:
                unheard.append(feed)
            if feed.version == UNKNOWN and not feed.resyncing and not feed.live():
                feed.version = read.version
            if sub.coalesces and feed.state is None and read.view:
                feed.state, feed.state_version = unpack(read.view), read.version
            delivered[feed.ent] = read.version
            if read.view and have.get(feed.ent) != read.version:
                fresh.append(read)
        part_bytes_max = self._limits.snapshot_part_bytes_max
        deliver_snapshot(sub.subscriber, sub.channel.name, fresh, ref, gone, part_bytes_max)
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
        for read in reads:
            if read.ref in self.feeds:
                self._forget(self.feeds[read.ref])  # it may have left while it was read

    def _catch_up(self, sub: Sub, feed: Feed, update: Update, delivered: dict[str, int]) -> None:
        """Deliver what came between registration and snapshot, unless the snapshot has it."""
        if not sub.sees(feed.ent):
            self._on_unseen(sub, feed)
            return
        before = delivered.get(feed.ent, 0)
        if not update.signal:
            bare = update.patch is NOTHING
            if feed.state is not None and update.patch and not bare and feed.state_version == update.version - 1:
                feed.state, feed.state_version = apply(feed.state, unpack(update.patch)), update.version
            if sub.channel.name in update.left:
                delivered.pop(feed.ent, None)
                self._hand(sub, feed, update.left_behind(sub.channel.name, before), {})
                return
            if update.version <= before:
                return
            if update.patch and update.version != before + 1:
                self._start_over(feed)
                return
            delivered[feed.ent] = update.version
            if update.state is None and feed.state_version == update.version:
                update.state = feed.state  # it came before anybody here knew the state: some want it whole
        self._hand(sub, feed, update, {})

    # -- changes ----------------------------------------------------------------------------------

    def changed(self, changes: Iterable[Change]) -> None:
        """What hosts published. Isolated: one change that cannot be handled does not stop the others."""
        for change in changes:
            feed = self._addressed(change)
            told = False
            if feed is not None:
                try:
                    if change.signal:
                        self._signal(feed, change)
                    else:
                        told = self._advance(feed, change, change.left)
                except (msgspec.DecodeError, ValueError) as error:
                    log.warning("change_unreadable", kind=change.kind, id=change.id, error=repr(error))
                    self._start_over(feed)
            for name in change.left:
                channel = self.channels.get(name)
                if channel is not None and channel.ref is None:
                    gone = feed or Feed((change.kind, change.id))
                    # a later state may have been read, and told, before this was heard; if it has come back by then,
                    # its next change says so
                    latest = max(change.version, gone.version)
                    self._part(channel, gone, latest, told=told and gone.ref in channel.members)

    def resynced(self, feed: Feed, version: int, view: bytes) -> None:
        """The state was read after a gap (or a renewal): continue from it."""
        feed.resyncing = False
        waiting, feed.waiting = feed.waiting, []
        self.refreshed(feed, version, view)
        for change in waiting:
            self._advance(feed, change)  # the groups that it left were told when that came
        if not feed.resyncing:
            feed.attempts = 0

    def refreshed(self, feed: Feed, version: int, view: bytes) -> None:
        """A read gave this; if it is news, everybody gets the whole state."""
        if not view or version <= feed.version:
            return
        self._replace(feed, Update(version, stamp(self._wall_ms()), view=view))

    def _replace(self, feed: Feed, update: Update) -> None:
        """The whole state, whatever was known before."""
        feed.version = update.version
        if feed.state is not None or feed.keeps_state():
            update.state = feed.state = unpack(update.view)
            feed.state_version = update.version
        self._emit(feed, update)

    def found(self, channel: Channel, read: Read) -> None:
        """A member of a watched group as it was just read: news if it is later than what was delivered."""
        if self.channels.get(channel.name) is not channel:
            return
        feed = self._feed(read.ref)
        if self._enrol(channel, feed) and feed.version != UNKNOWN:
            self._start_over(feed, unheard_by=channel)
        elif not feed.resyncing:
            self.refreshed(feed, read.version, read.view)

    def let_in(self, sub: Sub, read: Read) -> bool:
        """`sub` may see this, as it was just read in its own name. False: the entity has moved on, read it again."""
        feed = sub.channel.members.get(read.ref)
        if sub.seen is None or sub.channel.subs.get(sub.subscriber) is not sub:
            return True
        if feed is None:  # it has left meanwhile: should it come back, it is asked for again
            sub.seen.pop(f"{read.ref[0]}/{read.ref[1]}", None)
            return True
        if read.version < feed.version:
            return False
        sub.seen[feed.ent] = True
        sub.ahead[feed.ent] = read.version
        self._hand(sub, feed, Update(read.version, stamp(self._wall_ms()), view=read.view), {})
        return True

    def missed_leave(self, channel: Channel, feed: Feed) -> None:
        """A member of a watched group that does not belong to it any more, as was just found out."""
        if feed.ref in channel.members and not feed.resyncing and feed.version != UNKNOWN:
            self._part(channel, feed, feed.version, told=False)

    def newest(self, channel: str, ent: str, subscriber: Subscriber) -> bytes | None:
        """The newest state for a consumer that fell behind; None when it comes later or is no longer wanted."""
        here = self.channels.get(channel)
        if here is None or subscriber not in here.subs:
            return None
        kind, _, id_ = ent.partition("/")
        if (kind, id_) in here.departed:
            return None
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
            if channel is not None and channel.ref is None and name not in change.left:
                if feed is None:
                    feed = self._feed(ref)
                if self._enrol(channel, feed) and feed.version != UNKNOWN:
                    # followed elsewhere already, but this group has not got what to patch
                    self._start_over(feed, unheard_by=channel)
        return self.feeds.get(ref)

    def _part(self, channel: Channel, feed: Feed, version: int, *, told: bool) -> None:
        """`feed` leaves the group at `version`; unless that was `told` with the change itself, say just this."""
        if not told:
            update = Update(version, stamp(self._wall_ms()), patch=NOTHING, left=(channel.name,))
            self._emit_on(channel, feed, update)
        self.expel(channel, feed)
        if any(sub.coalesces for sub in channel.subs.values()):
            channel.departed[feed.ref] = None
            if len(channel.departed) > self._limits.group_members_max:
                del channel.departed[next(iter(channel.departed))]

    def _advance(self, feed: Feed, change: Change, left: tuple[str, ...] = ()) -> bool:
        """The next version, to be told now: True. An old one is ignored, one too far ahead waits for the state."""
        version = change.version
        if version <= feed.version:
            return False
        if feed.resyncing:
            if len(feed.waiting) >= self._limits.pending_changes_max:
                feed.waiting.clear()  # what follows is a gap again, and is read again
            feed.waiting.append(change)
            return False
        by = self.origins.of(change.command_id)
        if change.whole:
            self._replace(feed, Update(version, stamp(change.time_ms), view=change.patch, by=by, left=left))
            return True
        known = feed.version != UNKNOWN
        if version != feed.version + 1 if known else version != 1 and feed.live():
            self._gap(feed)
            feed.waiting.append(change)
            return False
        feed.version = version
        state = None
        if feed.state is not None and feed.state_version == version - 1:
            state = apply(feed.state, unpack(change.patch))
        elif version == 1 and feed.keeps_state():
            state = unpack(change.patch)
        if state is not None:
            feed.state, feed.state_version = state, version
        self._emit(feed, Update(version, stamp(change.time_ms), patch=change.patch, state=state, by=by, left=left))
        return True

    def _signal(self, feed: Feed, change: Change) -> None:
        self._emit(feed, Update(0, stamp(change.time_ms), patch=change.patch, signal=change.signal))

    def _emit(self, feed: Feed, update: Update) -> None:
        for channel in feed.channels():
            self._emit_on(channel, feed, update)

    def _emit_on(self, channel: Channel, feed: Feed, update: Update) -> None:
        frames: dict[tuple[str, bool], bytes] = {}
        left = channel.name in update.left
        for sub in channel.subs.values():
            if sub.pending is not None:
                self._hold(sub, feed, update)
                continue
            if not sub.sees(feed.ent):
                if not left:
                    self._on_unseen(sub, feed)
                continue
            if sub.ahead and not update.signal:
                ahead = sub.ahead.get(feed.ent, UNKNOWN)
                if update.version >= ahead:
                    sub.ahead.pop(feed.ent, None)
                if left and update.version < ahead:
                    del sub.ahead[feed.ent]
                    self._hand(sub, feed, update.left_behind(channel.name, ahead), {})
                    continue
                if update.version < ahead or (update.version == ahead and not left):
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
        droppable = sub.coalesces and name not in update.left
        sub.subscriber.deliver(frame, (name, feed.ent, update.signal) if droppable else None)

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
