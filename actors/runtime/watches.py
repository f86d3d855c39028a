"""Who watches which entity, and what they are told. Nothing is encoded for what nobody watches.

Interest is a lease per gateway, renewed by it; a gateway that died is forgotten when its lease runs out.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

import msgspec

from actors.runtime.cell import Cell
from actors.runtime.entity import EntityKind, Signal
from actors.runtime.wire import Change
from domain.merge_patch import diff

_pack = msgspec.msgpack.Encoder()


class Watched:
    """What one turn must tell: the gateways, and how the entity looked before."""

    __slots__ = ("before", "gateways", "groups")

    def __init__(self, gateways: set[str], groups: tuple[str, ...], before: Any) -> None:
        self.gateways = gateways
        self.groups = groups
        self.before = before


class WatchTable:
    """Leases of gateways on entities (`kind/id`) and groups (`merchant/{id}/orders`)."""

    def __init__(self, lease_seconds: float) -> None:
        self._lease_seconds = lease_seconds
        self._entities: dict[str, dict[str, float]] = {}
        self._groups: dict[str, dict[str, float]] = {}

    def __len__(self) -> int:
        return len(self._entities) + len(self._groups)

    def watch(self, key: str, gateway: str) -> None:
        self._entities.setdefault(key, {})[gateway] = self._expiry()

    def unwatch(self, key: str, gateway: str) -> None:
        _drop(self._entities, key, gateway)

    def watch_group(self, group: str, gateway: str) -> None:
        self._groups.setdefault(group, {})[gateway] = self._expiry()

    def unwatch_group(self, group: str, gateway: str) -> None:
        _drop(self._groups, group, gateway)

    def sweep(self) -> None:
        """Forget expired leases."""
        now = asyncio.get_running_loop().time()
        for table in (self._entities, self._groups):
            for key in list(table):
                for gateway in [name for name, expiry in table[key].items() if expiry <= now]:
                    _drop(table, key, gateway)

    def before_turn(self, cell: Cell, key: str) -> Watched | None:
        """What to remember before events are applied, or None when nobody would be told."""
        grouped = bool(self._groups) and type(cell.codec.kind).groups is not EntityKind.groups
        gateways = set(self._entities.get(key, ()))
        groups: tuple[str, ...] = ()
        if grouped and cell.state is not None:
            groups = cell.codec.kind.groups(cell.state)
            gateways |= self._watching(groups)
        if not gateways:
            # Unwatched by now, but this turn may move it into a watched group; who gets it then has no
            # earlier version to patch, so there is nothing to remember.
            return Watched(gateways, groups, {}) if grouped else None
        before = msgspec.to_builtins(cell.view()) if cell.state is not None else {}
        return Watched(gateways, groups, before)

    def after_turn(self, cell: Cell, watched: Watched, device: str, command_id: bytes, time_ms: int) -> "Told | None":
        """The change to publish once committed."""
        groups = watched.groups
        gateways = watched.gateways
        left: tuple[str, ...] = ()
        if self._groups:
            now_in = cell.codec.kind.groups(cell.state)
            left = tuple(group for group in groups if group not in now_in)
            groups = tuple(dict.fromkeys((*groups, *now_in)))
            gateways |= self._watching(now_in)
        if not gateways:
            return None
        whole = cell.untold
        patch = cell.view() if whole else diff(watched.before, msgspec.to_builtins(cell.view()))
        change = Change(
            cell.kind,
            cell.id,
            cell.version,
            _pack.encode(patch),
            groups,
            device,
            command_id,
            time_ms,
            left=left,
            whole=whole,
        )
        return Told(gateways, change)

    def signal(self, cell: Cell, key: str, signal: Signal, device: str, time_ms: int) -> "Told | None":
        groups = cell.codec.kind.groups(cell.state) if self._groups and cell.state is not None else ()
        gateways = set(self._entities.get(key, ())) | self._watching(groups)
        if not gateways:
            return None
        args = _pack.encode(signal.args)
        change = Change(cell.kind, cell.id, cell.version, args, groups, device, b"", time_ms, signal.name)
        return Told(gateways, change)

    def _watching(self, groups: Iterable[str]) -> set[str]:
        return {gateway for group in groups for gateway in self._groups.get(group, ())}

    def _expiry(self) -> float:
        return asyncio.get_running_loop().time() + self._lease_seconds


class Told:
    """A change and the gateways that get it."""

    __slots__ = ("change", "gateways")

    def __init__(self, gateways: set[str], change: Change) -> None:
        self.gateways = gateways
        self.change = change


def _drop(table: dict[str, dict[str, float]], key: str, gateway: str) -> None:
    gateways = table.get(key)
    if gateways is not None:
        gateways.pop(gateway, None)
        if not gateways:
            del table[key]
