"""Tablets of a simulated clinic: the real client with its store on disk, on the simulated network.

A program (`App`) is a process of its own: killed, nothing of it runs again, and what it had not stored is gone. The
tablet starts the next one from what is on disk.
"""

import contextlib
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from websockets.exceptions import ConnectionClosed

from actors.session_commands import session_id_of
from realtime.channels import Scope
from realtime.client.backoff import FullJitter
from realtime.client.encoding import ENCODERS, Message
from realtime.client.errors import LiveClosedError
from realtime.client.link import Link, Peer
from realtime.client.live import LiveClient
from realtime.client.store import DeviceStore
from realtime.client.tablet import Tablet
from realtime.codes import may_reconnect
from tests.simulation.loop import EPOCH_MS, Process
from tests.simulation.tablets.book import Body, Identity, Key

if TYPE_CHECKING:
    from tests.simulation.tablets.town import Town

_LOST = 1006


class SimLink(Link):
    """A link over the simulated network; everything above the socket is the real one's."""

    def __init__(self, town: "Town", label: str, scope: Scope, peer: Peer, backoff: FullJitter) -> None:
        super().__init__("", ENCODERS["json"], peer, backoff=backoff, headers={})
        self._town = town
        self._label = label
        self._scope = scope

    async def _attempt(self) -> float | None:
        code, pause = _LOST, None
        try:
            socket = await self._town.network.connect(self._label, self._scope)
            try:
                pause = await self._converse(socket)  # type: ignore[arg-type]
            finally:
                socket.close()
        except ConnectionClosed as error:
            code = _LOST if error.rcvd is None else error.rcvd.code
            self._town.record.note(f"{self._label} is closed with {code}")
            if not may_reconnect(code):
                self._end(LiveClosedError(code, "" if error.rcvd is None else error.rcvd.reason))
        except (ValueError, TypeError, LookupError, AttributeError):
            self.garbled += 1
        except (OSError, TimeoutError):
            pass
        finally:
            self._peer.lost(code)
        return pause


class Tap:
    """The link's peer, with an ear on what it is told."""

    def __init__(self, app: "App") -> None:
        self._app = app
        self._live = app.client.client
        self.stalled, self.ended = self._live.stalled, self._live.ended

    async def hello(self) -> Message:
        return await self._live.hello()

    async def received(self, frame: Message) -> None:
        if frame["t"] == "result":
            self._app.shown(frame)
        await self._live.received(frame)

    def outgoing(self) -> Iterable[Message]:
        return self._live.outgoing()

    def lost(self, code: int) -> None:
        epoch = self._app.client.queue.epoch
        self._live.lost(code)
        if self._app.client.queue.epoch != epoch:
            self._app.note_queue()


class App:
    """One run of the program on one tablet: the real `realtime.client.tablet.Tablet`."""

    def __init__(self, tablet: "Installation", number: int) -> None:
        self.tablet = tablet
        self.town = tablet.town
        self.name = f"{tablet.label}#{number}"
        self.process = Process(self.name)
        self.town.processes.append(self.process)
        self.bodies: dict[tuple[int, int], Key] = {}
        self.process.context.run(self._start)

    def _start(self) -> None:
        tablet, town = self.tablet, self.town

        def wall() -> float:
            return EPOCH_MS / 1000 + town.loop.time()

        def device_ms() -> int:
            return town.loop.now_ms() + tablet.clock_wrong_ms

        store = DeviceStore.open(tablet.path, subject=tablet.subject, device_id=tablet.device_id, wall=wall)
        backoff = FullJitter(0.2, 2.0, town.rng)
        self.client = client = Tablet(
            f"ws://town/?location={town.location}",
            self._token,
            store,
            encoding="json",
            backoff=backoff,
            now_ms=device_ms,
        )
        client.queue._wall = wall
        live = client.client
        live.link = SimLink(town, tablet.label, town.scope, Tap(self), backoff)
        live._sending._wake = live.link.wake
        for channel in tablet.channels:
            client.follow(channel)
        self.note_queue()
        live.link.start()

    def note_queue(self) -> None:
        """What waits in the store, under the numbers that it has now."""
        for kept in self.client.queue.kept():
            if kept.result is None:
                self._stored(kept.epoch, kept.seq, kept.body)

    def _token(self) -> str:
        loop, rng = self.town.loop, self.town.rng
        life = 600_000
        if self.town.hits("token_expiry", 0.4):
            life = rng.choice((-1_000, 500, 2_000, 4_000))
        return f"{self.tablet.subject}|{loop.now_ms() + life}"

    @property
    def live(self) -> LiveClient:
        return self.client.client

    def online(self) -> None:
        self.process.context.run(self.client.online)

    # -- what its person does ---------------------------------------------------------------------

    def submit(self, ent: str, op: str, args: Body) -> Key:
        edit = self.client.edit(ent, op, args)
        body = self.client.queue.after(edit.seq - 1)
        assert body is not None
        return self._stored(self.client.queue.epoch, edit.seq, body[1])

    def _stored(self, epoch: int, seq: int, body: Body) -> Key:
        book = self.town.book
        key = self.bodies[epoch, seq] = book.store(self.tablet.identity, epoch, seq, dict(body))
        self.town.record.note(f"{self.name} stores {book.stored[key]} base {body.get('base_fver')}")
        return key

    # -- what happens to it -----------------------------------------------------------------------

    def shown(self, frame: Message) -> None:
        if frame["epoch"] != self.client.queue.epoch:
            return
        key = self.bodies.get((frame["epoch"], frame["seq"]))
        if key is None:
            self.town.book.strangers.append(f"{self.name} got a result for {frame['epoch']}:{frame['seq']}")
            return
        self.town.book.tell(key, {name: value for name, value in frame.items() if name != "t"})


class Installation:
    """A tablet in somebody's hands, with its storage. Copies share their identity."""

    app_class: ClassVar[type[App]] = App

    def __init__(self, town: "Town", label: str, subject: str, device_id: str, folder: Path) -> None:
        self.town = town
        self.label = label
        self.subject = subject
        self.device_id = device_id
        self.path = folder / f"{label}.db"
        self.clock_wrong_ms = 0
        self.reset_at = town.loop.time()
        self.edits_left = 0
        self.backup: Path | None = None
        self.app: App | None = None
        self._runs = 0

    @property
    def identity(self) -> Identity:
        return Identity(self.subject, self.device_id)

    @property
    def session_id(self) -> str:
        return session_id_of(self.subject, self.device_id)

    @property
    def channels(self) -> tuple[str, ...]:
        board, chart = f"location/{self.town.location}/rooms", f"location/{self.town.location}/documents"
        own = (f"session/{self.session_id}", f"user/{self.subject}/rooms", f"user/{self.subject}/documents")
        return (board, chart, *own)

    def start(self) -> App:
        assert self.app is None
        self._runs += 1
        self.app = self.app_class(self, self._runs)
        return self.app

    def kill(self, why: str) -> None:
        """As by the system: nothing is written any more."""
        app, self.app = self.app, None
        if app is None:
            return
        self.town.record.note(f"{app.name} dies: {why}")
        self.town.loop.kill(app.process)
        for connection in self.town.network.live():
            if connection.label == self.label:
                connection.left()
        app.client.store._connection.close()

    def back_up(self) -> None:
        """A copy of the storage as it is on disk now."""
        self.backup = self.path.parent / f"{self.path.name}.backup"
        shutil.rmtree(self.backup, ignore_errors=True)
        self.backup.mkdir()
        for part in self._files():
            shutil.copy(part, self.backup / part.name)

    def restore(self, onto: "Installation | None" = None) -> None:
        """The copy comes back, here or on another tablet (which is off)."""
        assert self.backup is not None
        self.town.copied.add(self.identity)
        target = onto or self
        target.erase(identity_too=True)
        for part in sorted(self.backup.iterdir()):
            shutil.copy(part, target.path.parent / part.name.replace(self.path.name, target.path.name))

    def erase(self, *, identity_too: bool) -> None:
        for part in self._files():
            self.town.lossy.add(self.identity)
            if identity_too or not part.name.endswith(".identity"):
                part.unlink()
        self.reset_at = self.town.loop.time()

    def close(self) -> None:
        """At the very end."""
        if self.app is not None:
            with contextlib.suppress(Exception):
                self.app.client.store._connection.close()

    def _files(self) -> list[Path]:
        return [part for part in sorted(self.path.parent.glob(f"{self.path.name}*")) if part.is_file()]
