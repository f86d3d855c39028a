"""The hub of one gateway: who subscribes what, told of changes by the bus, watching through the entity client.

Registration always comes first, then the state is read, then what came in between is delivered (rule 5 of the
protocol's replay section). Watches are leases: renewed at a third of their time, and at once when a host was
replaced or the bus had a gap, each time with the version at hand, so that whatever was missed is caught up.
"""

import asyncio
import contextlib
import time
import zlib
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import structlog

from actors.runtime.entity import Actor
from actors.runtime.publishing import gateway_channel
from actors.runtime.wire import VIEW_MSGPACK, Change
from domain.errors import AtriumError, Forbidden, NotFound, Unavailable
from realtime.channels import Ref, entity_ref, is_group, is_personal
from realtime.feed import PATCHES, UNKNOWN, Channel, Feed, Read, Sub, Subscriber, Wants
from realtime.frames import Reference
from realtime.limits import DEFAULTS, Limits
from realtime.ports import Bus, Clock, GroupSource, Sleep, WatchClient
from realtime.table import Table
from realtime.tasks import Tasks

log = structlog.get_logger()

_SUBSCRIBE_ATTEMPTS: Final = 3
_changes = msgspec.msgpack.Decoder(list[Change])


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


class Hub:
    """`gateway` names this process to hosts and is part of its bus channel."""

    def __init__(
        self,
        gateway: str,
        client: WatchClient,
        bus: Bus,
        groups: GroupSource,
        *,
        limits: Limits = DEFAULTS,
        clock: Clock = time.monotonic,
        wall: Callable[[], int] = wall_ms,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.gateway = gateway
        self.table = Table(limits, self._gap, wall, self._unseen)
        self._client = client
        self._bus = bus
        self._groups = groups
        self._limits = limits
        self._clock = clock
        self._sleep = sleep
        self._tasks = Tasks("hub", gateway)
        self._slots = asyncio.Semaphore(limits.watch_concurrency_max)
        # A listing is a query, ten times the size of a waiting coroutine: what waits for the database waits here.
        self._listings = asyncio.Semaphore(limits.listing_concurrency_max)
        self._ending: dict[str, asyncio.Task[None]] = {}
        self._doubts = 0
        self.overflows = 0
        """Subscriptions begun anew because too much changed while their state was read."""

    async def start(self) -> None:
        """Listen first; nothing is watched before."""
        await self._bus.subscribe(gateway_channel(self.gateway), self._published, self.renew_all)
        self._client.on_host_change(lambda _host: self.renew_all())

    async def stop(self) -> None:
        await self._tasks.stop()

    # -- subscriptions ----------------------------------------------------------------------------

    async def subscribe(
        self,
        subscriber: Subscriber,
        name: str,
        have: dict[str, int],
        ref: Reference | None,
        wants: Wants = PATCHES,
    ) -> None:
        """When this returns, the subscriber has the snapshot and gets every later change.

        The witness is awaited with the name when the right to see has been found and before anything is shown; what it
        raises is raised here, and nothing is shown. It is awaited with each document that joins a clinical group
        later, too: one that could not be written down is tried again with its next change. Raises `NotFound`
        (unknown, or not the actor's to see) and `Temporary` errors; nothing stays registered then.
        """
        target = entity_ref(name)
        if target is None and not is_group(name):
            raise NotFound("no such channel")
        for _ in range(_SUBSCRIBE_ATTEMPTS):
            sub = self.table.join(subscriber, name, target, wants)
            try:
                reads, gone = await self._state(sub, target, have)
                if wants.witness is not None:
                    await wants.witness(name)
            except BaseException:
                if sub.channel.subs.get(subscriber) is sub:
                    self.table.leave(subscriber, name, self._clock())
                raise
            if sub.channel.subs.get(subscriber) is not sub:
                return  # unsubscribed, or subscribed again, in the meantime
            if not sub.overflowed:
                self.table.activate(sub, reads, have, ref, gone)
                return
            self.overflows += 1
        self.table.leave(subscriber, name, self._clock())
        raise Unavailable("too many changes while the state was read", retry_after_ms=1_000)

    def unsubscribe(self, subscriber: Subscriber, name: str) -> None:
        self.table.leave(subscriber, name, self._clock())

    async def _state(self, sub: Sub, target: Ref | None, have: dict[str, int]) -> tuple[list[Read], list[str]]:
        """What is there, and what of `have` is in the group no more."""
        channel, actor, doubts = sub.channel, sub.subscriber.actor, self._doubts
        ending = self._ending.get(channel.name)
        if ending is not None:
            await asyncio.wait({ending})  # an unwatch must not overtake the watch that follows it
        named = list(have)
        if sub.coalesces:
            have = {}  # the whole state is kept here, so the whole is asked for
        if target is not None:
            answer = await self._client.watch(
                *target, gateway=self.gateway, actor=actor, have=have.get(channel.name, UNKNOWN)
            )
            self._watched(channel, doubts)
            return [Read(target, answer.version, answer.view)], []
        await self._client.watch_group(channel.name, gateway=self.gateway)
        async with self._listings:
            members = await self._groups.members(channel.name, actor)
        self._watched(channel, doubts)
        reads = await self._read_all(members[: self._limits.group_members_max], actor, have)
        there = {f"{read.ref[0]}/{read.ref[1]}" for read in reads}
        return reads, [ent for ent in named if ent not in there] if self._complete(members) else []

    def _complete(self, members: Sequence[Ref]) -> bool:
        """Whether these are all of a group: a full list may have more behind it."""
        return len(members) < self._limits.group_listed_max

    def _watched(self, channel: Channel, doubts: int) -> None:
        now = self._clock()
        if not channel.watched:
            channel.watched = True
            channel.renew_at = now + self._renewal_seconds(channel)
            channel.catch_up_at = now + self._limits.group_catch_up_seconds
        if doubts != self._doubts:  # a host was replaced meanwhile, perhaps the very one that answered
            channel.renew_at = channel.catch_up_at = now
            self.tick(now)

    async def _read_all(self, refs: Sequence[Ref], actor: Actor, have: dict[str, int]) -> list[Read]:
        """The views of many entities, those left out that this actor may not see."""

        async def one(ref: Ref) -> Read | None:
            async with self._slots:
                try:
                    known = have.get(f"{ref[0]}/{ref[1]}", UNKNOWN)
                    answer = await self._client.read(*ref, actor=actor, want=VIEW_MSGPACK, have=known)
                except (NotFound, Forbidden):
                    return None
            return Read(ref, answer.version, answer.view)

        reads = await asyncio.gather(*(one(ref) for ref in refs))
        return [read for read in reads if read is not None]

    # -- what the bus says ------------------------------------------------------------------------

    def _published(self, payload: bytes) -> None:
        try:
            changes = _changes.decode(payload)
        except msgspec.DecodeError as error:
            log.warning("publication_unreadable", gateway=self.gateway, error=repr(error))
            self.renew_all()
            return
        self.table.changed(changes)

    # -- keeping up -------------------------------------------------------------------------------

    def renew_all(self) -> None:
        """Something may have been missed: renew every watch now, and compare versions."""
        now = self._clock()
        self._doubts += 1
        for channel in self.table.channels.values():
            channel.renew_at = channel.catch_up_at = now
        self.tick(now)

    def tick(self, now: float) -> None:
        """Once a second: renew what is due, end what nobody has wanted for a while."""
        for channel in list(self.table.channels.values()):
            if not channel.watched:
                continue
            if channel.subs:
                if now >= channel.renew_at and not channel.renewing:
                    channel.renewing = True
                    self._tasks.spawn(self._renew(channel))
            elif channel.idle_since is not None and now >= channel.idle_since + self._limits.unwatch_linger_seconds:
                self.table.drop(channel)
                self._ending[channel.name] = self._tasks.spawn(self._unwatch(channel))

    def _renewal_seconds(self, channel: Channel) -> float:
        """A third of the lease at most; each channel its own, so that a common start does not stay one."""
        spread = zlib.crc32(channel.name.encode()) / 2**32
        return self._limits.lease_seconds / 3 * (0.8 + 0.2 * spread)

    async def _renew(self, channel: Channel) -> None:
        try:
            while channel.subs and self._clock() >= channel.renew_at:
                channel.renew_at = self._clock() + self._renewal_seconds(channel)
                async with self._slots:
                    await self._renew_once(channel)
        except (AtriumError, OSError) as error:
            log.info("watch_not_renewed", channel=channel.name, error=repr(error))
            channel.renew_at = self._clock() + self._limits.tick_seconds
        finally:
            channel.renewing = False

    async def _renew_once(self, channel: Channel) -> None:
        if channel.ref is None:
            await self._client.watch_group(channel.name, gateway=self.gateway)
            if self._clock() >= channel.catch_up_at:
                channel.catch_up_at = self._clock() + self._limits.group_catch_up_seconds
                self._tasks.spawn(self._catch_up(channel))
            return
        feed = self.table.feeds.get(channel.ref)
        actor = channel.next_actor()
        if actor is None or feed is None:
            return
        try:
            answer = await self._client.watch(*feed.ref, gateway=self.gateway, actor=actor, have=feed.version)
        except (NotFound, Forbidden) as error:
            self._revoke(channel, actor, error)
            return
        if not feed.resyncing:
            self.table.refreshed(feed, answer.version, answer.view)

    async def _catch_up(self, channel: Channel) -> None:
        """Compare a group's members with what was delivered of them."""
        actor = channel.next_actor()
        if actor is None:
            return
        try:
            known = {feed: feed.version for feed in channel.members.values()}
            async with self._listings:
                members = await self._groups.members(channel.name, actor, again=True)
            refs = dict.fromkeys([*members[: self._limits.group_members_max], *channel.members])
            have = {feed.ent: feed.version for feed in channel.members.values()}
            reads = await self._read_all(list(refs), actor, have)
            channel.ask_again()
            there = set(members)
            unchanged = [one for one, version in known.items() if one.ref not in there and one.version == version]
            for read in reads:
                self.table.found(channel, read)
            agreed = all(one.actor == actor for one in channel.subs) or not is_personal(channel.name)
            for feed in unchanged if agreed and self._complete(members) else ():
                self.table.missed_leave(channel, feed)
            self._ask_for_unseen(channel)
        except (NotFound, Forbidden) as error:
            self._revoke(channel, actor, error)
        except (AtriumError, OSError) as error:
            log.info("group_not_caught_up", channel=channel.name, error=repr(error))
            channel.renew_at = channel.catch_up_at = self._clock() + self._limits.tick_seconds

    async def _unwatch(self, channel: Channel) -> None:
        try:
            with contextlib.suppress(AtriumError, OSError):  # the lease ends by itself
                async with self._slots:
                    if channel.ref is None:
                        await self._client.unwatch_group(channel.name, gateway=self.gateway)
                    else:
                        await self._client.unwatch(*channel.ref, gateway=self.gateway)
        finally:
            self._ending.pop(channel.name, None)

    def _revoke(self, channel: Channel, actor: Actor, error: AtriumError) -> None:
        """This actor may not see it any more: every subscription in its name ends."""
        for subscriber in [one for one in channel.subs if one.actor == actor]:
            self.table.leave(subscriber, channel.name, self._clock())
            subscriber.lost(channel.name, error.failure.code)

    # -- gaps -------------------------------------------------------------------------------------

    def _gap(self, feed: Feed) -> None:
        self._tasks.spawn(self._resync(feed))

    async def _resync(self, feed: Feed) -> None:
        """Read the state until there is one. Meanwhile changes wait in the feed."""
        limits = self._limits
        try:
            while feed.wanted():
                if feed.attempts:
                    pause = limits.resync_seconds_min * 2 ** min(feed.attempts - 1, 16)
                    await self._sleep(min(pause, limits.resync_seconds_max))
                feed.attempts += 1
                try:
                    async with self._slots:
                        read = await self._read_again(feed)
                except (AtriumError, OSError) as error:
                    log.info("feed_not_read", kind=feed.ref[0], id=feed.ref[1], error=repr(error))
                    continue
                if read is not None:
                    self.table.resynced(feed, read.version, read.view)
                    return
        finally:
            if not feed.wanted():
                feed.resyncing = False
                feed.waiting.clear()

    async def _read_again(self, feed: Feed) -> Read | None:
        own = feed.own
        for channel in feed.channels():
            for actor in channel.askers():
                try:
                    if channel is own:
                        answer = await self._client.watch(
                            *feed.ref, gateway=self.gateway, actor=actor, have=feed.version
                        )
                    else:
                        answer = await self._client.read(*feed.ref, actor=actor, want=VIEW_MSGPACK, have=feed.version)
                except (NotFound, Forbidden) as error:
                    if channel is own:
                        self._revoke(channel, actor, error)
                        return None
                else:
                    return Read(feed.ref, answer.version, answer.view)
            if channel.subs:
                self.table.expel(channel, feed)
                return None
        return None

    # -- groups whose members are asked for one by one ----------------------------------------------

    def _unseen(self, sub: Sub, feed: Feed) -> None:
        """Find out, in the subscriber's own name, whether it may see this; once until members are compared again."""
        if sub.seen is not None and feed.ent not in sub.seen:
            sub.seen[feed.ent] = False
            self._tasks.spawn(self._let_in(sub, feed))

    def _ask_for_unseen(self, channel: Channel) -> None:
        """What could not be asked before is asked now: perhaps nothing ever changes again."""
        for sub in channel.subs.values():
            for feed in channel.members.values():
                if sub.pending is None and not sub.sees(feed.ent):
                    self._unseen(sub, feed)

    async def _let_in(self, sub: Sub, feed: Feed) -> None:
        told = False
        try:
            for _ in range(_SUBSCRIBE_ATTEMPTS):
                reads = await self._read_all([feed.ref], sub.subscriber.actor, {})
                if reads and sub.witness is not None and not told:
                    await sub.witness(feed.ent)
                    told = True
                if not reads or self.table.let_in(sub, reads[0]):
                    return
        except (AtriumError, OSError) as error:
            log.info("member_not_read", channel=sub.channel.name, error=repr(error))
        if sub.seen is not None:
            sub.seen.pop(feed.ent, None)  # with the next change it is asked again
