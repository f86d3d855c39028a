"""Who is on a channel, as one gateway knows it, without I/O: its own people and those that others told of.

An entry of another gateway is a lease: it ends unless that gateway repeats it, so the people of a gateway that
was killed go by themselves. What a gateway says of its own people as a whole replaces what it said before.
"""

from typing import Any, Final

import msgspec

from realtime.feed import Subscriber
from realtime.frames import Present, ServerPresence

LOCAL: Final = ""
"""The gateway of an entry that is this one's own: it lasts as long as the connection."""


class Told(msgspec.Struct, array_like=True, tag=0):
    """What a gateway says of its own people on a channel; `whole`: these and nobody else."""

    gateway: str
    channel: str
    people: list[Present]
    leaves: list[str] = []
    whole: bool = False


class Who(msgspec.Struct, array_like=True, tag=1):
    """A gateway that starts to listen asks who is there; the others answer with their own people."""

    gateway: str
    channels: list[str]


class _Entry:
    __slots__ = ("gateway", "present", "until")

    def __init__(self, present: Present, gateway: str, until: float) -> None:
        self.present = present
        self.gateway = gateway
        self.until = until


class Gathering:
    """One channel. `due_at` and `beat_at` are for its owner: when to tell the subscribers again, when the gateways."""

    __slots__ = (
        "_fresh",
        "_outgoing",
        "_people",
        "_shown_by",
        "_told",
        "_touched",
        "_whole",
        "beat_at",
        "due_at",
        "name",
        "subscribers",
    )

    def __init__(self, name: str, now: float) -> None:
        self.name = name
        self.subscribers: dict[Subscriber, None] = {}
        self.due_at = now
        self.beat_at = now
        self._people: dict[str, _Entry] = {}
        self._shown_by: dict[Subscriber, str] = {}
        self._told: dict[str, Present] = {}
        self._touched: dict[str, None] = {}
        self._fresh: dict[Subscriber, None] = {}
        self._outgoing: dict[str, None] = {}
        self._whole = False

    def __len__(self) -> int:
        return len(self._people)

    def people(self) -> list[Present]:
        return [entry.present for entry in self._people.values()]

    def shown(self, subscriber: Subscriber) -> Present | None:
        entry = self._people.get(self._shown_by.get(subscriber, ""))
        return None if entry is None else entry.present

    def has_own(self) -> bool:
        return bool(self._shown_by)

    # -- this gateway's connections -----------------------------------------------------------------

    def enter(self, subscriber: Subscriber) -> None:
        self.subscribers[subscriber] = None
        self._fresh[subscriber] = None

    def show(self, subscriber: Subscriber, present: Present) -> None:
        self._shown_by[subscriber] = present.id
        self._people[present.id] = _Entry(present, LOCAL, 0.0)
        self._touched[present.id] = self._outgoing[present.id] = None

    def hide(self, subscriber: Subscriber) -> None:
        conn_id = self._shown_by.pop(subscriber, None)
        if conn_id is not None and self._people.pop(conn_id, None) is not None:
            self._touched[conn_id] = self._outgoing[conn_id] = None

    def leave(self, subscriber: Subscriber) -> None:
        self.hide(subscriber)
        self.subscribers.pop(subscriber, None)
        self._fresh.pop(subscriber, None)

    # -- what other gateways say --------------------------------------------------------------------

    def heard(self, told: Told, until: float) -> None:
        """Leases up to `until`. Nobody speaks for another gateway's people."""
        for present in told.people:
            known = self._people.get(present.id)
            if known is None or known.gateway == told.gateway:
                self._people[present.id] = _Entry(present, told.gateway, until)
                if known is None or known.present != present:
                    self._touched[present.id] = None
        gone = told.leaves
        if told.whole:
            here = {present.id for present in told.people}
            gone = [one for one in self._people if one not in here]
        for conn_id in gone:
            known = self._people.get(conn_id)
            if known is not None and known.gateway == told.gateway:
                del self._people[conn_id]
                self._touched[conn_id] = None

    def expire(self, now: float) -> None:
        for conn_id, entry in list(self._people.items()):
            if entry.gateway != LOCAL and entry.until <= now:
                del self._people[conn_id]
                self._touched[conn_id] = None

    def tell_whole(self) -> None:
        """The next message names everyone that this gateway has here."""
        self._whole = self._whole or self.has_own()

    # -- what is to be told -------------------------------------------------------------------------

    def pending(self) -> bool:
        return bool(self._touched or self._fresh or self._outgoing or self._whole)

    def message(self, gateway: str) -> Told | None:
        """For the other gateways, since the last one; None without news."""
        outgoing, self._outgoing = self._outgoing, {}
        whole, self._whole = self._whole, False
        if whole:
            own = [entry.present for entry in self._people.values() if entry.gateway == LOCAL]
            return Told(gateway, self.name, own, whole=True)
        if not outgoing:
            return None
        there = [self._people[one].present for one in outgoing if one in self._people]
        return Told(gateway, self.name, there, [one for one in outgoing if one not in self._people])

    def deliver(self) -> bool:
        """To the subscribers: everyone to those who are new, to the others what changed since the last time.

        Encoded once per encoding. Whether there was anything to tell.
        """
        fresh, self._fresh = self._fresh, {}
        news = self._news()
        everyone = ServerPresence(ch=self.name, joins=list(self._told.values())) if fresh and self._told else None
        frames: dict[tuple[bool, Any], bytes] = {}
        for subscriber in self.subscribers:
            new = subscriber in fresh
            frame = everyone if new else news
            if frame is None:
                continue
            encoded = frames.get((new, subscriber.codec))
            if encoded is None:
                encoded = frames[new, subscriber.codec] = subscriber.codec.encode(frame)
            subscriber.deliver(encoded, None)
        return bool(frames)

    def _news(self) -> ServerPresence | None:
        frame = ServerPresence(ch=self.name, joins=[], updates=[], leaves=[])
        touched, self._touched = self._touched, {}
        for conn_id in touched:
            before, entry = self._told.get(conn_id), self._people.get(conn_id)
            if entry is None:
                if self._told.pop(conn_id, None) is not None:
                    frame.leaves.append(conn_id)
                continue
            self._told[conn_id] = entry.present
            if before is None:
                frame.joins.append(entry.present)
            elif before != entry.present:
                frame.updates.append(entry.present)
        return frame if frame.joins or frame.updates or frame.leaves else None
