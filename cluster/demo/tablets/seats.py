"""The three devices of the play: two tablets, each with its store in a file, and the board at the wall."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from cluster.demo.tablets.app import Shown
from cluster.demo.tablets.world import Clinic, Person
from realtime.client.backoff import FullJitter
from realtime.client.live import LiveClient
from realtime.client.notices import Linked, Notice
from realtime.client.store import DeviceStore
from realtime.client.subscription import Subscription
from realtime.client.tablet import Tablet

PATIENCE_S: Final = 30.0
"""What the play waits for comes within so long, or the play has failed."""
_APP: Final = "cluster.demo.tablets.app"


class StalledError(Exception):
    """Something did not come in time, or ended; the message says what was waited for."""


@asynccontextmanager
async def within(what: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield
    except TimeoutError:
        raise StalledError(f"waited {PATIENCE_S:g} s for {what}") from None


class Seat:
    """A provider at a tablet. `tablet` is another one after the app's restart; the store's file stays."""

    def __init__(self, person: Person, clinic: Clinic, base_url: str, folder: Path) -> None:
        self.person = person
        self.online = False
        self._clinic = clinic
        self._url = f"ws{base_url.removeprefix('http')}/api/v1/treatments/provider-sync?location={clinic.location_id}"
        self._path = folder / f"{person.name.lower()}.sqlite3"
        self.tablet = self._open()

    @property
    def device(self) -> str:
        return self.tablet.device_id

    @property
    def session_id(self) -> str:
        return self.tablet.session.ent.partition("/")[2]

    async def until(self, what: str, condition: Callable[[Tablet], Any]) -> None:
        async with within(f"{what} on {self.person.name}'s tablet"):
            await self.tablet.until(condition)

    async def synced(self) -> None:
        """Every edit has its result, and the screen shows what the server has confirmed."""
        async with within(f"the results of {self.person.name}'s edits"):
            await self.tablet.synced(confirmed=True)

    async def close(self) -> None:
        await self.tablet.close()

    async def killed_app(self, document_id: str, note: str) -> Shown:
        """The app ends, starts again as another process on the same file, writes a note, and gets SIGKILL.

        Returns what that process showed; afterwards the store is open here again.
        """
        url, path, subject = self._url, self._path, self.person.subject
        await self.tablet.close()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", _APP, str(path), subject, url, document_id, note),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            async with within("the app to start"):
                assert process.stdout is not None  # noqa: S101 - asked for
                line = await process.stdout.readline()
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
            await process.wait()
        if not line:
            raise StalledError("the app ended before it had shown anything")
        self.tablet = self._open()
        return msgspec.json.decode(line, type=Shown)

    def _open(self) -> Tablet:
        store = DeviceStore.open(self._path, subject=self.person.subject)
        tablet = Tablet(self._url, lambda: self._clinic.token(self.person), store, backoff=FullJitter(0.05, 0.5))
        tablet.listen(self._hear)
        return tablet

    def _hear(self, notice: Notice) -> None:
        if isinstance(notice, Linked):
            self.online = notice.online


class Board:
    """The rooms of the location, for the front desk."""

    def __init__(self, clinic: Clinic, base_url: str) -> None:
        self.channel = f"location/{clinic.location_id}/rooms"
        socket = f"ws{base_url.removeprefix('http')}/api/v1/treatments/room-status?location={clinic.location_id}"
        self._client = LiveClient(socket, lambda: clinic.token(clinic.olga), backoff=FullJitter(0.05, 0.5))
        self.rooms: Subscription = self._client.follow(self.channel)

    async def start(self) -> None:
        await self._client.start()
        await self.until("its rooms", lambda rooms: rooms.current)

    async def close(self) -> None:
        await self._client.close()

    @property
    def online(self) -> bool:
        return self._client.welcome is not None

    def state(self, room_id: str) -> dict[str, Any]:
        """What it shows of a room; empty before it knows it."""
        return self.rooms.state(f"room/{room_id}") or {}

    async def until(self, what: str, condition: Callable[[Subscription], bool]) -> None:
        async with within(f"{what} on the board"):
            await self.rooms.until(condition)
