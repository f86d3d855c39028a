"""The last confirmed states that a device has seen, so that a tablet started without a network still shows its data.

A cache: losing it, or its newest seconds, costs a longer snapshot. It is written together with what else is written,
at the latest when `flush` is called.
"""

import contextlib
import json
from typing import Any

from realtime.client.errors import StoreError
from realtime.client.store import DeviceStore, dump


class StateCache:
    """For each channel its entities; an entity in several channels is kept once, at its newest version."""

    def __init__(self, store: DeviceStore) -> None:
        self._store = store
        self._dirty: dict[str, tuple[int, Any]] = {}
        self._members: dict[str, set[str]] = {}
        for channel, ent in store.rows("SELECT channel, ent FROM members"):
            self._members.setdefault(channel, set()).add(ent)

    def channels(self) -> tuple[str, ...]:
        return tuple(self._members)

    def load(self, channel: str) -> dict[str, tuple[int, Any]]:
        """ent → (version, state)."""
        if channel not in self._members:
            return {}
        with contextlib.suppress(StoreError):  # what could not be written comes again with the snapshot
            self.flush()
        return {
            ent: (version, json.loads(state))
            for ent, version, state in self._store.committed(
                "SELECT ent, ver, state FROM members JOIN states USING (ent) WHERE channel = ? ORDER BY ent", channel
            )
        }

    def keep(self, channel: str, ent: str, version: int, state: Any) -> None:
        """Written at the next `flush`; of several versions until then only the newest."""
        if self._dirty.get(ent, (0,))[0] <= version:
            self._dirty[ent] = (version, state)
        members = self._members.setdefault(channel, set())
        if ent not in members:
            members.add(ent)
            self._store.later("INSERT OR IGNORE INTO members VALUES (?, ?)", channel, ent)

    def leave(self, channel: str, ent: str) -> None:
        """The entity does not belong to the channel any more."""
        members = self._members.get(channel, set())
        if ent in members:
            members.discard(ent)
            self._store.later("DELETE FROM members WHERE channel = ? AND ent = ?", channel, ent)
            self._forget(ent)

    def forget(self, channel: str) -> None:
        """Nobody wants this channel any more."""
        for ent in tuple(self._members.pop(channel, ())):
            self._store.later("DELETE FROM members WHERE channel = ? AND ent = ?", channel, ent)
            self._forget(ent)

    def drop(self) -> None:
        """All of it, on disk too: rights have changed, or the device may not show it any more."""
        self._dirty.clear()
        self._members.clear()
        self._store.erase("DELETE FROM members", "DELETE FROM states")

    @property
    def dirty(self) -> bool:
        return bool(self._dirty)

    def flush(self) -> None:
        """Raises `StoreError`; then it is tried again with the next one."""
        for ent, (version, state) in self._dirty.items():
            self._store.later(
                "INSERT INTO states VALUES (?1, ?2, ?3) ON CONFLICT (ent) DO UPDATE SET ver = ?2, state = ?3 "
                "WHERE excluded.ver >= ver",
                ent,
                version,
                dump(state),
            )
        self._dirty.clear()
        self._store.commit()

    def _forget(self, ent: str) -> None:
        if not any(ent in members for members in self._members.values()):
            self._dirty.pop(ent, None)
            self._store.later("DELETE FROM states WHERE ent = ?", ent)
