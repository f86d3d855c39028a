"""The company of the play: its people at their devices, what they work on, and what the stage crew can do."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import msgspec
import psutil

from cluster.demo.stage import Stage, Victim
from cluster.demo.tablets.book import Book
from cluster.demo.tablets.evidence import Event
from cluster.demo.tablets.gather import Server, owner_of
from cluster.demo.tablets.seats import PATIENCE_S, Board, Seat, StalledError
from cluster.demo.tablets.traces import moved
from cluster.demo.tablets.view import Picture, Step, look_at_board, look_at_tablet
from cluster.demo.tablets.world import Clinic, Person, open_clinic
from realtime.client.edits import Document
from realtime.client.http import HttpClient
from realtime.client.tablet import Tablet


class Kill(msgspec.Struct, frozen=True):
    """The host that was killed while it owned Pia's session. `pause_ms`: until her tablet had its first result."""

    host: str
    pid: int
    pause_ms: float


class Company:
    """`points` are the names of planned points by id; `document` is "" until the chart is begun."""

    def __init__(
        self, stage: Stage, clinic: Clinic, client: HttpClient, folder: Path, steps: list[Step], pace_s: float
    ) -> None:
        self.clinic = clinic
        self.book = Book()
        self.board = Board(clinic, stage.base_url)
        self.pia = Seat(clinic.pia, clinic, stage.base_url, folder)
        self.quinn = Seat(clinic.quinn, clinic, stage.base_url, folder)
        self.room_name, self.room = next(iter(clinic.rooms.items()))
        self.document = ""
        self.points: dict[str, str] = {}
        self.kill: Kill | None = None
        self.edits_offline = 0
        self.quarantined = list[Event]()
        self._stage = stage
        self._client = client
        self._steps = steps
        self._pace_s = pace_s
        self._began = time.monotonic()

    @classmethod
    async def gather(
        cls, stage: Stage, run: str, folder: Path, steps: list[Step], pace_s: float, exits: AsyncExitStack
    ) -> Self:
        """Everybody is there, nobody connected yet. Raises `HttpError`."""
        client = HttpClient(stage.base_url, deadline_s=PATIENCE_S)
        exits.push_async_callback(client.close)
        clinic = await open_clinic(client, stage.tokens, run)
        company = cls(stage, clinic, client, folder, steps, pace_s)
        exits.push_async_callback(company._close)
        return company

    async def _close(self) -> None:
        for device in (self.pia, self.quinn, self.board):
            await device.close()

    @property
    def seats(self) -> tuple[Seat, Seat]:
        return self.pia, self.quinn

    @property
    def room_ent(self) -> str:
        return f"room/{self.room}"

    @property
    def chart_ent(self) -> str:
        return f"document/{self.document}"

    def chart(self, seat: Seat) -> Document:
        return seat.tablet.document(self.document)

    def chart_on(self, tablet: Tablet) -> dict[str, Any]:
        """What a tablet shows of the chart; empty before it knows it."""
        return tablet.state(self.chart_ent) or {}

    def status_on(self, tablet: Tablet) -> str:
        return str(self.chart_on(tablet).get("status", ""))

    def server(self, seat: Seat) -> Server:
        return Server(self._client, self.clinic.token(seat.person))

    async def both(self, what: str, condition: Callable[[Tablet], Any]) -> None:
        for seat in self.seats:
            await seat.until(what, condition)

    async def all_there(self) -> None:
        """The board shows both of them."""
        await self.board.until("both people", lambda rooms: len(rooms.people) == len(self.seats))

    async def left(self, person: Person) -> None:
        """The board shows this one in no room any more."""
        await self.board.until(
            f"{person.name}'s leaving",
            lambda rooms: (
                not any(one["subject"] == person.subject and one.get("state") for one in rooms.people.values())
            ),
        )

    async def front_desk(self, status: str, **details: str) -> None:
        """Olga moves the room, over HTTP."""
        olga = self.clinic.olga
        key = f"demo {self.room} {status}"
        body = {"status": status, **details}
        path = f"/api/v1/rooms/{self.room}/status"
        (await self._client.send("POST", path, token=self.clinic.token(olga), key=key, body=body)).expect()
        self.book.told(olga, f"{self.room_name} to {status} (HTTP)", moved(status))

    # -- what is seen ---------------------------------------------------------------------------------

    async def say(self, text: str, *, show: bool = False) -> None:
        """A step is done. `show`: with the screens as they are now."""
        self._steps.append(Step(round(time.monotonic() - self._began, 2), text, self.picture() if show else None))
        await asyncio.sleep(self._pace_s)

    def picture(self) -> Picture:
        clinic, points = self.clinic, self.points
        tablets = (look_at_tablet(seat, clinic, self.room, self.document, points) for seat in self.seats)
        return Picture(tablets=tuple(tablets), board=look_at_board(self.board, clinic))

    # -- the crew -------------------------------------------------------------------------------------

    async def owner_of_session(self, seat: Seat) -> Victim | None:
        """The host that owns this provider session; None when nobody is to be killed. Raises `StalledError`."""
        if self._stage.victims is None:
            return None
        name = await owner_of(self._stage.database_url, "session", seat.session_id)
        found = next((each for each in await self._stage.victims() if each.name == name), None)
        if found is None:
            raise StalledError(f"the host of the session, {name or 'nobody'}, is not on this machine: nobody to kill")
        return found


async def gone(process: psutil.Process) -> str:
    """ "gone", once it is."""
    try:
        await asyncio.to_thread(process.wait, PATIENCE_S)
    except psutil.TimeoutExpired:
        return "still there"
    return "gone"
