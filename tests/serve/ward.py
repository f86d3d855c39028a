"""A clinic with provider sessions: Pia and Quinn at work with their tablets."""

import hashlib
from typing import Any

import httpx

from actors.runtime.entity import Actor
from domain.ids import derived_id, device_command_id, new_id
from services.entities import Sender
from services.sessions import SessionEntry
from tests.serve.clinic import CLINIC
from tests.serve.test_rooms import Clinic

PIA, QUINN, ADA = new_id(), new_id(), new_id()


class Ward:
    """A clinic with a location and a room, Pia and Quinn with a tablet each."""

    def __init__(self, clinic: Clinic) -> None:
        self.clinic = clinic
        self.house = clinic.house
        self.sessions = clinic.house.gateway.sessions
        self.pia = Actor(PIA, ("provider",), (CLINIC,))
        self.quinn = Actor(QUINN, ("provider",), (CLINIC,))
        self.headers = {
            "pia": clinic.house.bearer(PIA, "provider", orgs=(CLINIC,)),
            "quinn": clinic.house.bearer(QUINN, "provider", orgs=(CLINIC,)),
            "ada": clinic.house.bearer(ADA, "admin", orgs=(CLINIC,)),
            "fred": clinic.desk,
            "olga": clinic.stranger,
        }
        self.tablet = new_id()
        self.session = ""
        self.other = ""

    async def open(self) -> "Ward":
        self.session = (await self.come(self.pia, self.tablet)).session_id
        self.other = (await self.come(self.quinn, new_id())).session_id
        return self

    async def come(self, actor: Actor, tablet: str, epoch: int = 1, first_unacked: int = 1) -> Any:
        return await self.sessions.open(actor, tablet, epoch, first_unacked, "c-1", self.clinic.location)

    async def send(self, who: str, method: str, path: str, body: Any = None, **more: str) -> httpx.Response:
        return await self.clinic.send(method, f"/sessions{path}", self.headers[who], body, **more)

    async def see(self, session_id: str, who: str = "fred") -> dict[str, Any]:
        return dict((await self.send(who, "GET", f"/{session_id}")).json())

    async def device_does(self, actor: Actor, op: str, session_id: str = "", **args: Any) -> Any:
        ent = f"session/{session_id or self.session}"
        number = hashlib.sha256(new_id().encode()).digest()[:16]
        sender = Sender(actor, "c-1.1", number, b"h" * 16, device=self.tablet)
        return await self.house.gateway.device_commands.execute(sender, ent, op, args)

    async def holds_room(self, hashed: bytes) -> Any:
        """The first command of Pia's tablet, executed."""
        sender = Sender(self.pia, "c-1.1", device_command_id(PIA, self.tablet, 1, 1), hashed, device=self.tablet)
        commands = self.house.gateway.device_commands
        return await commands.execute(sender, f"room/{self.clinic.room}", "set_status", {"to": "held"})

    async def quarantine(self, seq: int = 1, ent: str = "", hash: bytes = b"", **args: Any) -> str:
        """A command that was refused: to hold the room, unless it says otherwise."""
        hashed = hash or b"%016d" % seq
        item_id = derived_id("quarantine", self.session, "1", str(seq), hashed)
        entry = SessionEntry(
            epoch=1,
            seq=seq,
            hash=hashed,
            result={"status": "rejected", "code": "revoked", "detail": "Not now."},
            command={
                "ent": ent or f"room/{self.clinic.room}",
                "op": "set_status",
                "args": args or {"to": "held"},
                "schema": 1,
            },
            item_id=item_id,
        )
        await self.sessions.record(self.pia, self.session, 1, [entry])
        return item_id


async def at_work(ward: Ward) -> None:
    """Pia is in the room with a patient and has claimed it."""
    await ward.clinic.room_patient()
    await ward.device_does(ward.pia, "enter", room_id=ward.clinic.room, patient_id="p-1", visit_id="v-1")
    await ward.device_does(ward.pia, "open_document", document_id="d-1")
    await ward.clinic.send("POST", f"/rooms/{ward.clinic.room}/claim", ward.headers["pia"])


async def offer(ward: Ward, to: str = QUINN) -> str:
    made = await ward.send("pia", "POST", f"/{ward.session}/hand-off", {"to": to, "note": "20 units are left"})
    assert made.status_code == 201, made.text
    (offer_id,) = made.json()["hand_offs"]
    return str(offer_id)


async def room_of(ward: Ward) -> dict[str, Any]:
    return dict((await ward.clinic.send("GET", f"/rooms/{ward.clinic.room}", ward.headers["fred"])).json())
