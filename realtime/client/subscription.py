"""A channel as its user sees it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from realtime.client.replica import Replica, Update


class Subscription:
    """A channel that stays current over reconnects. Iterate for updates, or look at `entities`."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._changed = asyncio.Event()
        self._over: Exception | None = None
        self.people: dict[str, dict[str, Any]] = {}
        """Who shows themselves here: connection → `{id, subject, device_id, since, state}`. Empty after a lost socket,
        until those who are there have been told again."""

    @property
    def channel(self) -> str:
        return self._replica.channel

    @property
    def current(self) -> bool:
        """False between a lost socket and the next snapshot."""
        return self._replica.current

    @property
    def entities(self) -> Mapping[str, Any]:
        """`kind/id` → `Known(version, state, signals)`."""
        return self._replica.entities

    def state(self, ent: str | None = None) -> Any:
        """The state of `ent`, by default of the channel's own entity; None when unknown."""
        known = self._replica.entities.get(ent or self.channel)
        return None if known is None else known.state

    async def until(self, condition: Callable[["Subscription"], bool]) -> None:
        """Wait for updates until the condition holds. Raises `LiveError` when the subscription ended."""
        while not condition(self):
            if self._over is not None:
                raise self._over
            self._changed.clear()
            await self._changed.wait()

    async def __aiter__(self) -> AsyncIterator[Update]:
        updates = self._replica.updates
        while True:
            while updates:
                yield updates.popleft()
            if self._over is not None:
                raise self._over
            self._changed.clear()
            await self._changed.wait()

    def meet(self, frame: dict[str, Any]) -> None:
        """A `presence` frame: who came, changed what they show, and left."""
        for person in (*frame.get("joins", ()), *frame.get("updates", ())):
            self.people[person["id"]] = person
        for gone in frame.get("leaves", ()):
            self.people.pop(gone, None)
        self._changed.set()

    def revive(self) -> None:
        """The client comes back after an end."""
        self._over = None

    def notify(self) -> None:
        self._changed.set()

    def end(self, error: Exception) -> None:
        self._over = error
        self._changed.set()
