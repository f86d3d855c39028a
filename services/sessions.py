"""Provider sessions: the count of a tablet's queue, and what people do with sessions. Hand-offs and quarantine have
their own files."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from actors.runtime.entity import Actor
from actors.runtime.wire import VIEW_JSON
from actors.session_commands import (
    Ack,
    Close,
    OfferHandOff,
    Open,
    Outcome,
    Recall,
    Record,
    Restore,
    Revoke,
    SignOut,
    Touch,
    WithdrawHandOff,
    session_id_of,
)
from actors.session_state import ORGANIZATIONS_MAX, RECORD_ENTRIES_MAX, unpacked
from domain.errors import Internal, NotFound
from services.access.check import refusal, require, where
from services.access.policy import Permission
from services.entities import SESSION, Answered, Entities, Sender, send
from services.listings import Place
from services.locations import Location, LocationStore
from services.lookups import Clock, Lookups
from services.session_listings import ListedSession, SessionFilter, SessionListings

RECORD_BYTES_MAX: Final = 128 * 1024
"""Outcomes in one command to the session, packed: half of what a journal row may hold, and above one frame."""

_pack = msgspec.msgpack.Encoder().encode


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A device's session as it stands at the hello: see `actors.session_commands.Open`."""

    session_id: str
    generation: int
    epoch: int
    last_seq: int
    refusal: str


class SessionEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one command: see `actors.session_commands.Outcome`."""

    epoch: int
    seq: int
    hash: bytes
    result: dict[str, Any]
    command: dict[str, Any] | None = None
    item_id: str = ""


class Sessions:
    def __init__(self, entities: Entities, locations: LocationStore, listings: SessionListings, clock: Clock) -> None:
        self._entities = entities
        self._store = locations
        self._listings = listings
        self._locations: Lookups[Location] = Lookups(self._fetch, clock)

    # -- the device's queue -----------------------------------------------------------------------

    async def open(
        self,
        actor: Actor,
        device_id: str,
        epoch: int,
        first_unacked: int,
        conn_id: str,
        location_id: str,
        login_ms: int = -1,
    ) -> Opened:
        """A device says hello at `location_id` ("" for unknown), which must be of the actor's organizations.

        `login_ms`: when its person logged in, -1 for right now.
        """
        session_id = session_id_of(actor.subject, device_id)
        command = Open(
            device_id=device_id,
            epoch=epoch,
            first_unacked=first_unacked,
            conn_id=conn_id,
            organizations=await self._organizations(actor, location_id),
            location_id=location_id,
            login_ms=login_ms,
        )
        answer = await self._entities.ask(
            SESSION, session_id, command, actor=actor, device=device_id, correlation=conn_id
        )
        return msgspec.convert({"session_id": session_id, **_data(answer)}, Opened)

    async def settled(self, actor: Actor, session_id: str, epoch: int) -> list[SessionEntry]:
        """The results kept of one epoch, oldest first: `hash` and `result` only."""
        found: list[SessionEntry] = []
        more = True
        while more:
            recall = Recall(epoch=epoch, after=found[-1].seq if found else 0)
            page = _data(await self._entities.ask(SESSION, session_id, recall, actor=actor))
            found += [
                SessionEntry(epoch=epoch, seq=seq, hash=hashed, result=unpacked(result))
                for seq, hashed, result in page["results"]
            ]
            more = page["more"]
        return found

    async def record(self, actor: Actor, session_id: str, generation: int, entries: Sequence[SessionEntry]) -> None:
        """Keep outcomes, in order. What does not fit into one commit is several; a retry passes over the first."""
        for chunk in _chunks(entries):
            command = Record(generation=generation, entries=chunk)
            await self._entities.ask(SESSION, session_id, command, actor=actor)

    async def acked(self, actor: Actor, session_id: str, epoch: int, upto: int) -> None:
        await self._entities.ask(SESSION, session_id, Ack(epoch=epoch, upto=upto), actor=actor)

    async def touch(self, actor: Actor, session_id: str, generation: int) -> None:
        await self._entities.ask(SESSION, session_id, Touch(generation=generation), actor=actor)

    async def close(self, actor: Actor, session_id: str, generation: int) -> None:
        await self._entities.ask(SESSION, session_id, Close(generation=generation), actor=actor)

    # -- people -----------------------------------------------------------------------------------

    async def get(self, actor: Actor, session_id: str, correlation: str = "") -> Answered:
        return await self._entities.read(SESSION, session_id, actor=actor, want=VIEW_JSON, correlation=correlation)

    async def list(
        self, actor: Actor, wanted: SessionFilter, after: Place | None, limit: int
    ) -> Sequence[ListedSession]:
        """Of the organizations that the actor works for. Raises `NotFound` for a location of others."""
        own = where(actor, Permission.SESSION_KEEP)
        if wanted.location_id:
            own = ((await self._location(actor, wanted.location_id)).organization_id,)
        if not own:
            raise NotFound("There is no such list of sessions.")
        return await self._listings.sessions(msgspec.structs.replace(wanted, organization_ids=own), after, limit)

    async def sign_out(self, sender: Sender, session_id: str) -> Answered:
        return await send(self._entities, SESSION, session_id, sender, SignOut())

    async def revoke(self, sender: Sender, session_id: str, command: Revoke) -> Answered:
        return await send(self._entities, SESSION, session_id, sender, command)

    async def restore(self, sender: Sender, session_id: str) -> Answered:
        return await send(self._entities, SESSION, session_id, sender, Restore())

    async def offer_hand_off(self, sender: Sender, session_id: str, command: OfferHandOff) -> Answered:
        return await send(self._entities, SESSION, session_id, sender, command)

    async def withdraw_hand_off(self, sender: Sender, session_id: str, offer_id: str) -> Answered:
        return await send(self._entities, SESSION, session_id, sender, WithdrawHandOff(offer_id=offer_id))

    async def _organizations(self, actor: Actor, location_id: str) -> tuple[str, ...]:
        """Whose session it is: at a known place that clinic's alone."""
        if location_id:
            return ((await self._location(actor, location_id)).organization_id,)
        return where(actor, Permission.SESSION_KEEP)[:ORGANIZATIONS_MAX]

    async def _location(self, actor: Actor, location_id: str) -> Location:
        location = await self._locations.get(location_id)
        if location is None:
            raise refusal(Permission.LOCATION_SEE)
        require(actor, Permission.LOCATION_SEE, organization_id=location.organization_id)
        return location

    async def _fetch(self, ids: Sequence[str]) -> dict[str, Location]:
        found = [await self._store.location(id_) for id_ in ids]
        return {location.id: location for location in found if location is not None}


def _chunks(entries: Sequence[SessionEntry]) -> Iterator[tuple[Outcome, ...]]:
    chunk: list[Outcome] = []
    size = 0
    for entry in entries:
        outcome = Outcome(**msgspec.structs.asdict(entry))
        added = len(_pack(outcome))
        if chunk and (size + added > RECORD_BYTES_MAX or len(chunk) >= RECORD_ENTRIES_MAX):
            yield tuple(chunk)
            chunk, size = [], 0
        chunk.append(outcome)
        size += added
    if chunk:
        yield tuple(chunk)


def _data(answer: Answered) -> dict[str, Any]:
    if answer.data is None:
        raise Internal("A session answers this with a reply.")
    return answer.data
