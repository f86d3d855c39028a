"""Stand-ins for the entities, their hosts, the bus and the group source, as a gateway sees them."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from actors.runtime.entity import Actor
from actors.runtime.wire import Change
from domain.errors import AtriumError, NotFound
from domain.merge_patch import diff

WALL_MS = 1_750_000_000_000

pack = msgspec.msgpack.encode


def ref(ent: str) -> tuple[str, str]:
    kind, _, id_ = ent.partition("/")
    return kind, id_


class Answer(msgspec.Struct):
    version: int
    view: bytes = b""
    duplicate: bool = False
    data: dict[str, Any] | None = None
    noop: bool = False


class Entities:
    """Entities with versions and views, their watches, and the bus to one gateway.

    `hold_reads` makes reads and watches wait after they were registered and before they look, `hold_answers` after
    they looked; `release()` lets them go. `deaf` loses what is published.
    """

    def __init__(self) -> None:
        self.views: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self.groups_of: dict[tuple[str, str], tuple[str, ...]] = {}
        self.hidden: set[tuple[str, tuple[str, str]]] = set()
        self.watched: dict[str, int] = {}
        self.watched_groups: dict[str, int] = {}
        self.failing: AtriumError | None = None
        self.deaf = False
        self.hold_reads = False
        self.hold_answers = False
        self.hold_unwatch = False
        self.reads = 0
        self.log: list[str] = []
        self._gate = asyncio.Event()
        self._on_message: Callable[[bytes], None] | None = None
        self.on_reconnect: Callable[[], None] = lambda: None
        self.host_changed: list[Callable[[str], None]] = []

    # -- what happens to entities ---------------------------------------------------------------

    def put(
        self, ent: str, view: dict[str, Any], *, groups: tuple[str, ...] | None = None, command_id: bytes = b""
    ) -> int:
        """A new version; published if anybody watches, as hosts do it."""
        key = ref(ent)
        history = self.views.setdefault(key, [])
        before = history[-1] if history else {}
        history.append(view)
        left: tuple[str, ...] = ()
        if groups is not None:
            left = tuple(one for one in self.groups_of.get(key, ()) if one not in groups)
            self.groups_of[key] = groups
        change = self.change(ent, len(history), diff(before, view), command_id)
        change.groups, change.left = (*left, *change.groups), left
        self.publish(change)
        return len(history)

    def change(self, ent: str, version: int, patch: Any, command_id: bytes = b"", signal: str = "") -> Change:
        key = ref(ent)
        groups = self.groups_of.get(key, ())
        return Change(*key, version, pack(patch), groups, "device", command_id, WALL_MS + version, signal)

    def signal(self, ent: str, name: str, args: dict[str, Any]) -> None:
        self.publish(self.change(ent, self.version(ent), args, signal=name))

    def publish(self, *changes: Change) -> None:
        told = [one for one in changes if self._is_watched(one)]
        if told and not self.deaf and self._on_message is not None:
            self._on_message(pack(told))

    def _is_watched(self, change: Change) -> bool:
        return f"{change.kind}/{change.id}" in self.watched or any(one in self.watched_groups for one in change.groups)

    def version(self, ent: str) -> int:
        return len(self.views.get(ref(ent), []))

    def view(self, ent: str) -> dict[str, Any]:
        return self.views[ref(ent)][-1]

    def release(self) -> None:
        self._gate.set()
        self._gate = asyncio.Event()

    # -- the entity client ----------------------------------------------------------------------

    async def watch(self, kind: str, id: str, *, gateway: str, actor: Actor, have: int) -> Answer:
        self.log.append(f"watch {kind}/{id} {actor.subject} {have}")
        if self.failing is None and (actor.subject, (kind, id)) not in self.hidden and (kind, id) in self.views:
            self.watched[f"{kind}/{id}"] = self.watched.get(f"{kind}/{id}", 0) + 1
        return await self.read(kind, id, actor=actor, want=2, have=have)

    async def read(self, kind: str, id: str, *, actor: Actor, want: int, have: int) -> Answer:
        self.reads += 1
        await asyncio.sleep(0)
        if self.hold_reads:
            await self._gate.wait()
        if self.failing is not None:
            raise self.failing
        if (kind, id) not in self.views or (actor.subject, (kind, id)) in self.hidden:
            raise NotFound("unknown")
        history = self.views[kind, id]
        answer = Answer(len(history), b"" if have == len(history) else pack(history[-1]))
        if self.hold_answers:
            await self._gate.wait()
        return answer

    async def unwatch(self, kind: str, id: str, *, gateway: str) -> None:
        self.log.append(f"unwatch {kind}/{id}")
        if self.hold_unwatch:
            await self._gate.wait()
        self.watched.pop(f"{kind}/{id}", None)

    async def watch_group(self, group: str, *, gateway: str) -> None:
        self.log.append(f"watch_group {group}")
        self.watched_groups[group] = 1

    async def unwatch_group(self, group: str, *, gateway: str) -> None:
        self.log.append(f"unwatch_group {group}")
        self.watched_groups.pop(group, None)

    def on_host_change(self, callback: Callable[[str], None]) -> None:
        self.host_changed.append(callback)

    def replace_host(self) -> None:
        """The new one knows no watches."""
        self.watched.clear()
        self.watched_groups.clear()
        for callback in self.host_changed:
            callback("host-1")

    # -- the bus and the group source -------------------------------------------------------------

    async def subscribe(
        self, channel: str, on_message: Callable[[bytes], None], on_reconnect: Callable[[], None]
    ) -> None:
        self.log.append(f"subscribe {channel}")
        self._on_message = on_message
        self.on_reconnect = on_reconnect

    def garble(self) -> None:
        assert self._on_message is not None
        self._on_message(b"\xc1")

    async def members(self, group: str, actor: Actor, *, again: bool = False) -> Sequence[tuple[str, str]]:
        await asyncio.sleep(0)
        if (actor.subject, ("group", group)) in self.hidden:
            raise NotFound("unknown")
        return [key for key, groups in self.groups_of.items() if group in groups]
