"""What the checkers go by: every command that a tablet ever stored, every result it was ever shown, in one order."""

from typing import Any, NamedTuple

import msgspec

from domain.ids import device_command_id
from realtime.commands import body_hash
from realtime.frames import Command
from tests.simulation.record import Record

Body = dict[str, Any]


class Identity(NamedTuple):
    """One person at one installation: whose sequence numbers a session counts. Copies of a store share it."""

    subject: str
    device_id: str


class Key(NamedTuple):
    """A command as a session knows it. Two bodies under one number are two commands."""

    identity: Identity
    epoch: int
    seq: int
    hash: bytes

    def __str__(self) -> str:
        subject, device_id = self.identity
        return f"{subject}@{device_id[-4:]} {self.epoch % 100_000}:{self.seq}:{self.hash.hex()[:6]}"


class Stored(msgspec.Struct):
    """A command on a tablet. `order`: when it was stored first, under this number."""

    key: Key
    body: Body
    order: int

    @property
    def command_id(self) -> bytes:
        identity, epoch, seq, _ = self.key
        return device_command_id(*identity, epoch, seq)

    def __str__(self) -> str:
        return f"{self.key} {self.body['op']} {self.body['ent']} {self.body['args']}"


class Told(msgspec.Struct, frozen=True):
    """A result that a tablet was shown."""

    key: Key
    order: int
    frame: dict[str, Any]

    @property
    def first(self) -> dict[str, Any]:
        """What the command came to: of a duplicate, the first result."""
        if self.frame["status"] != "duplicate":
            return self.frame
        original: dict[str, Any] = self.frame.get("original", {})
        return original


def hash_of(body: Body) -> bytes:
    return body_hash(msgspec.convert({"epoch": 0, "seq": 1, **body}, Command))


class Book:
    def __init__(self, record: Record) -> None:
        self.record = record
        self.stored: dict[Key, Stored] = {}
        self.told: dict[Key, list[Told]] = {}
        self.strangers: list[str] = []

    def store(self, identity: Identity, epoch: int, seq: int, body: Body) -> Key:
        key = Key(identity, epoch, seq, hash_of(body))
        if key not in self.stored:
            self.stored[key] = Stored(key, body, self.record.next())
        return key

    def tell(self, key: Key, frame: dict[str, Any]) -> None:
        order = self.record.next()
        self.told.setdefault(key, []).append(Told(key, order, frame))
        shown = {name: frame[name] for name in ("status", "code", "ver", "conflict_id", "quarantined") if name in frame}
        original = frame.get("original", {})
        self.record.note(f"told {key} {shown}" + (f" first {original.get('status')}" if original else ""))
