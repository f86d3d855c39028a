"""A device's commands in its store: appended in one transaction, gone only when their results are on disk."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from realtime.client.limits import DEFAULTS, ClientLimits
from realtime.client.queue import Body, OpenCommands
from realtime.client.store import DeviceStore, dump

SECRETS: Final = frozenset({"proof"})
"""Arguments that prove who somebody is: on disk no longer than they have to be."""


class Kept(NamedTuple):
    """A command as it is on disk, with its result, if it has one. `key` never changes; `seq` does at a new epoch."""

    key: int
    epoch: int
    seq: int
    body: Body
    result: dict[str, Any] | None


class SqliteQueue(OpenCommands):
    """A `CommandQueue` that survives a killed process.

    What has no result is in memory too, so that sending reads no file.
    """

    def __init__(
        self, store: DeviceStore, wall: Callable[[], float] = time.time, limits: ClientLimits = DEFAULTS
    ) -> None:
        self._limits = limits
        self._store = store
        self._wall = wall
        self._open: dict[int, Body] = {}
        self._resolving: dict[int, dict[str, Any]] = {}
        self.device_id = store.device_id
        self.last_seq = 0
        self._unpruned = 0
        self._load()

    @property
    def epoch(self) -> int:
        return self._store.epoch

    def __len__(self) -> int:
        return len(self._open)

    def append(self, body: Body) -> int:
        """Raises `StoreError` when it is not on disk; then it is not in the queue either."""
        seq = self.last_seq + 1
        self._store.commit(
            "INSERT INTO commands (epoch, seq, body) VALUES (?, ?, ?)", self._store.epoch, seq, dump(body)
        )
        self.last_seq = seq
        self._open[seq] = body
        self._stored()
        return seq

    def resolve(self, seq: int, result: dict[str, Any]) -> None:
        if seq in self._open and seq not in self._resolving:
            self._resolving[seq] = result
            self._store.later(
                "UPDATE commands SET body = ?, result = ?, unseen = ? WHERE epoch = ? AND seq = ?",
                dump(without_secrets(self._open[seq])),
                dump(result),
                refused(result),
                self._store.epoch,
                seq,
            )

    def commit(self) -> None:
        """Raises `StoreError`: the results wait on, and count as not given."""
        self._store.commit()
        self._stored()

    def renumber(self) -> dict[int, int]:
        """Under a higher epoch, from 1, in one transaction."""
        self.commit()
        store = self._store
        epoch = store.next_epoch(self._wall)
        numbers = {seq: number for number, seq in enumerate(self._open, 1)}
        for seq, number in numbers.items():
            store.later(
                "UPDATE commands SET epoch = ?, seq = ? WHERE epoch = ? AND seq = ?", epoch, number, store.epoch, seq
            )
        store.change_epoch(epoch)
        self._open = dict(enumerate(self._open.values(), 1))
        self.last_seq = len(self._open)
        return numbers

    def skip_to(self, seq: int) -> None:
        if seq > self.last_seq + 1:
            self._store.commit("INSERT OR REPLACE INTO meta VALUES ('skipped', ?)", f"{self._store.epoch}:{seq - 1}")
            self.last_seq = seq - 1

    def kept(self) -> Iterator[Kept]:
        """Everything on disk, oldest first."""
        for key, epoch, seq, body, result in self._store.rows(
            "SELECT key, epoch, seq, body, result FROM commands ORDER BY key"
        ):
            yield Kept(key, epoch, seq, json.loads(body), None if result is None else json.loads(result))

    def unseen(self) -> Iterator[Kept]:
        """Commands that came to nothing, or to a conflict, and nobody has looked at yet."""
        for key, epoch, seq, body, result in self._store.rows(
            "SELECT key, epoch, seq, body, result FROM commands WHERE unseen ORDER BY key"
        ):
            yield Kept(key, epoch, seq, json.loads(body), json.loads(result))

    def key_of(self, seq: int) -> int:
        """The key of a command of this epoch that is on disk."""
        rows = list(
            self._store.committed("SELECT key FROM commands WHERE epoch = ? AND seq = ?", self._store.epoch, seq)
        )
        return int(rows[0][0])

    def seen(self, key: int) -> None:
        """A person has looked at it: it is pruned like other results."""
        self._store.commit("UPDATE commands SET unseen = 0 WHERE key = ?", key)
        self._stored()

    def _stored(self) -> None:
        """What waited in the store is on disk now, whoever committed it."""
        for seq in self._resolving:
            self._open.pop(seq, None)
        self._unpruned += len(self._resolving)
        self._resolving.clear()
        if self._unpruned >= self._limits.prune_results:
            self._unpruned = 0
            self._store.later(
                "DELETE FROM commands WHERE result IS NOT NULL AND NOT unseen AND key <= "
                "(SELECT key FROM commands WHERE result IS NOT NULL ORDER BY key DESC LIMIT 1 OFFSET ?)",
                self._limits.results_kept,
            )

    def _load(self) -> None:
        store = self._store
        for seq, body in store.rows(
            "SELECT seq, body FROM commands WHERE epoch = ? AND result IS NULL ORDER BY seq", store.epoch
        ):
            self._open[seq] = json.loads(body)
        for (highest,) in store.rows("SELECT max(seq) FROM commands WHERE epoch = ?", store.epoch):
            self.last_seq = highest or 0
        for (skipped,) in store.rows("SELECT value FROM meta WHERE name = 'skipped'"):
            epoch, _, seq = skipped.partition(":")
            if int(epoch) == store.epoch:
                self.last_seq = max(self.last_seq, int(seq))


def without_secrets(body: Body) -> Body:
    """The command as it may be kept when it is done."""
    if SECRETS.isdisjoint(body["args"]):
        return body
    return {**body, "args": {name: value for name, value in body["args"].items() if name not in SECRETS}}


def refused(result: dict[str, Any]) -> bool:
    """Whether people have to hear of it: rejected or in conflict, also when this is only said again."""
    status = result["status"]
    if status == "duplicate":
        status = result.get("original", {}).get("status", "applied")
    return status in {"rejected", "conflict"}
