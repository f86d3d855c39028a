"""A second, small bookkeeping of rooms, fed by the journal in its order: steps, claims, tokens."""

from typing import TYPE_CHECKING, Any

from actors.room_state import Claimed, ClaimEnded, StatusChanged, StatusUndone
from actors.room_status import CLAIMABLE, TRANSITIONS, RoomStatus
from tests.simulation.tablets.truth import Fact

if TYPE_CHECKING:
    from tests.simulation.record import Record
    from tests.simulation.tablets.book import Stored

NOTHING_STALE = "4 nothing stale"


class Door:
    """One room, row after row."""

    def __init__(self, record: "Record", ent: str) -> None:
        self._record = record
        self.ent = ent
        self.status = RoomStatus.AVAILABLE
        self.before: RoomStatus | None = None
        self.changed = 0
        self.token = 0
        self.holder: tuple[str, str] | None = None
        self._version = 0

    def row(self, fact: Fact, stored: "Stored | None") -> None:
        self._version = fact.row.version
        for event in fact.events:
            self._event(event, fact, stored)

    def end(self, state: Any) -> None:
        if state.phase.status is not self.status or state.last_token != self.token:
            self._violate(f"is {state.phase.status}, it was moved to {self.status}")

    def _event(self, event: Any, fact: Fact, stored: "Stored | None") -> None:
        match event:
            case StatusChanged():
                args = stored.body["args"] if stored is not None else {}
                if event.from_ is not self.status or args.get("from", self.status.value) != self.status.value:
                    self._violate(f"{self.status} was left by {stored or event}")
                if (event.from_, event.to) not in TRANSITIONS:
                    self._violate(f"{event.from_} became {event.to}")
                if stored is not None and args["to"] != event.to.value:
                    self._violate(f"{stored} moved it to {event.to}")
                self._moved(event.to)
            case StatusUndone():
                if self.before is not event.to or self.changed != event.version:
                    self._violate(f"{event} undoes v{self.changed}")
                self._moved(event.to)
                self.before = None
            case Claimed():
                self._claimed(event, (fact.row.actor, fact.row.device))
            case ClaimEnded():
                self.holder = None
            case _:
                pass

    def _moved(self, to: RoomStatus) -> None:
        self.before, self.status, self.changed = self.status, to, self._version
        if to not in CLAIMABLE:
            self.holder = None

    def _claimed(self, event: Claimed, hand: tuple[str, str]) -> None:
        renewed = event.token == self.token and self.holder == hand
        if not renewed and event.token != self.token + 1:
            self._violate(f"token {event.token} follows {self.token}")
        if not renewed and self.holder is not None and not event.reason:
            self._violate(f"{hand} claimed what {self.holder} had")
        self.token, self.holder = event.token, hand

    def _violate(self, what: str) -> None:
        self._record.violate(NOTHING_STALE, f"{self.ent} v{self._version}: {what}")
