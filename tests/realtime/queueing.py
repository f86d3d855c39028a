"""A tablet of a clinic with a queue that its session counts, on stand-ins of the entities."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from actors.runtime.entity import Actor
from realtime.channels import live
from realtime.ports import Credentials, Identity
from tests.realtime.fakes import DEVICE, House, Wire, command, settle
from tests.realtime.ledgers import PIA, DeskLedger

ADMIN = Actor("ada", ("admin",), ("clinic-1",))


DOCUMENT = "document/0190a0b0-0000-7000-8000-0000000000d0"


ROOM = "room/0190a0b0-0000-7000-8000-0000000000f0"


SCOPE = live(frozenset({"room", "document", "session"}))


class Staff:
    """Whoever logs in is Pia."""

    def __init__(self) -> None:
        self.login_ms = -1

    async def authenticate(self, credentials: Credentials) -> Identity:
        return Identity(PIA, login_ms=self.login_ms)


class Clinic(House):
    def __init__(self) -> None:
        super().__init__()
        self.ledger = DeskLedger(self.entities)
        self.staff = Staff()
        self.use(ledger=self.ledger, authenticator=self.staff, sleep=self._sleep)

    async def tablet(self, epoch: int = 1, first_unacked: int = 1, device: str = DEVICE) -> Wire:
        wire = await self.connect("pia", scope=SCOPE, device_id=device, epoch=epoch, first_unacked=first_unacked)
        await settle()
        return wire

    async def hello(self, **fields: Any) -> Wire:
        """As `tablet`, whatever comes of it."""
        wire = self.open(scope=SCOPE)
        wire.feed({"t": "hello", "v": [1, 1], "device_id": DEVICE, "epoch": 1, "token": "pia", **fields})
        await settle(60)
        return wire

    def session(self) -> Any:
        return self.ledger.desk(DEVICE)


@asynccontextmanager
async def clinic() -> AsyncIterator[Clinic]:
    async with Clinic() as house:
        yield house


def note(seq: int, text: str = "", ent: str = DOCUMENT, **fields: Any) -> dict[str, Any]:
    return {**command(seq, ent, "append_note", text=text or f"note {seq}"), **fields}


async def results(wire: Wire, *frames: dict[str, Any]) -> list[tuple[int, str, str]]:
    wire.feed(*frames)
    await settle(60)
    return [(one["seq"], one["status"], one.get("code", "")) for one in wire.take("result", "error") if "seq" in one]
