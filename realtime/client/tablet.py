"""A provider's tablet: everything on the screen at once, everything done kept until the server has it.

`async with Tablet(url, token, DeviceStore.open(path, subject=…)) as tablet: tablet.room(id).set_status("roomed")`.
`url` is `/api/v1/treatments/provider-sync`, with `?location=` for the board of its rooms.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from domain.hlc import HybridClock
from domain.ids import derived_id, new_id
from realtime.client.backoff import FullJitter
from realtime.client.edits import Document, Room, Session
from realtime.client.encoding import Encoding
from realtime.client.limits import DEFAULTS, ClientLimits
from realtime.client.live import LiveClient, TokenSource, wall_ms
from realtime.client.notices import Edit, Notice, Refused
from realtime.client.optimism import PendingEdit
from realtime.client.screen import Screen
from realtime.client.sqlite_queue import SqliteQueue
from realtime.client.store import DeviceStore
from realtime.client.subscription import Subscription


class Tablet:
    """Owns `store` from now on, and closes it."""

    def __init__(
        self,
        url: str,
        token: str | TokenSource,
        store: DeviceStore,
        *,
        encoding: Encoding = "msgpack",
        backoff: FullJitter | None = None,
        limits: ClientLimits = DEFAULTS,
        now_ms: Callable[[], int] = wall_ms,
    ) -> None:
        self.subject = store.subject
        self.device_id = store.device_id
        self.store = store
        self.queue = SqliteQueue(store, limits=limits)
        self.screen = Screen(store, self.queue, limits)
        self.client = LiveClient(
            url,
            token,
            encoding=encoding,
            queue=self.queue,
            backoff=backoff,
            limits=limits,
            clock=HybridClock(now_ms, store.device_id, self.screen.last_stamp),
            observer=self.screen,
        )
        self.screen.created = self.follow
        self.session = Session(self, f"session/{derived_id('session', store.subject, store.device_id)}")
        for channel in dict.fromkeys((*self._own_channels(url), *self.screen.channels())):
            self.follow(channel)

    # -- life -------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin connecting. Everything works before, too."""
        await self.client.start()

    async def close(self) -> None:
        """What is queued stays on disk, and goes out when the store is opened again."""
        await self.client.close()
        try:
            self.screen.close()
        finally:
            self.store.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def offline(self) -> None:
        """Cut the link on purpose."""
        await self.client.offline()

    def online(self) -> None:
        """Come back at once, also after the server had closed for good."""
        self.screen.revive()
        self.client.online()

    async def connected(self) -> None:
        """Wait for the welcome. Raises `LiveClosedError`."""
        await self.client.connected()

    async def synced(self, *, confirmed: bool = False) -> None:
        """Wait until every edit has its result; with `confirmed`, until what is seen is what the server has
        confirmed. Raises `LiveClosedError` when the server has closed for good."""
        await self.until(lambda one: not len(one.queue) and (one.screen.optimism.settled or not confirmed))

    async def until(self, condition: Callable[["Tablet"], Any]) -> None:
        """Wait for news until the condition holds. Raises `LiveClosedError` when there will not be any."""
        while not condition(self):
            if self.client.over is not None:
                raise self.client.over
            await self.screen.changed()

    # -- what is seen -----------------------------------------------------------------------------

    def state(self, ent: str) -> Any:
        """The confirmed state of `kind/id` with the own edits in it; None when it is unknown."""
        return self.screen.optimism.state(ent)

    def entities(self, kind: str) -> dict[str, Any]:
        """All that is known of a kind, by `kind/id`."""
        known = {ent: self.state(ent) for ent in self.screen.optimism.entities() if ent.startswith(f"{kind}/")}
        return {ent: state for ent, state in sorted(known.items()) if state is not None}

    def pending(self, ent: str) -> tuple[PendingEdit, ...]:
        """The own edits in what is seen that are not confirmed yet."""
        return self.screen.optimism.pending(ent)

    def room(self, room_id: str) -> Room:
        return Room(self, f"room/{room_id}")

    def document(self, document_id: str = "") -> Document:
        """By default a new one."""
        return Document(self, f"document/{document_id or new_id()}")

    def follow(self, channel: str) -> Subscription:
        """Have a channel kept current, and in the store, also after a restart, until `unfollow`."""
        return self.client.follow(channel, known=self.screen.known(channel))

    def unfollow(self, channel: str) -> None:
        self.client.unsubscribe(channel)
        self.screen.drop_channel(channel)

    def presence(self, channel: str, state: dict[str, Any]) -> None:
        """Show oneself to those on a channel: which section one is editing, say. `{}` takes it back.

        Who is there: `follow(channel).people`.
        """
        self.client.show(channel, state)

    # -- what is done -----------------------------------------------------------------------------

    def edit(self, ent: str, op: str, args: dict[str, Any]) -> Edit:
        """Any operation. On disk, in the queue and on the screen when this returns. Raises `StoreError`."""
        base = self.screen.optimism.base(ent, op, args)
        seq, body = self.client.submit(ent, op, args, base_fver=base)
        return self.screen.queued(seq, body)

    def edits(self) -> tuple[Edit, ...]:
        """Those without a result, oldest first, of earlier runs too."""
        return tuple(edit for _, edit in sorted(self.screen.edits.items()))

    def claim_token(self, ent: str) -> int:
        """The fencing token of the own claim of a room, as far as it is known; 0 without one."""
        return self.screen.claim_token(ent)

    # -- what people should hear of ---------------------------------------------------------------

    def unseen(self) -> Iterator[Refused]:
        """Edits that came to nothing or to a conflict, until somebody has seen them: of earlier runs too."""
        return self.screen.unseen()

    def seen(self, key: int) -> None:
        self.queue.seen(key)

    def listen(self, listener: Callable[[Notice], None]) -> Callable[[], None]:
        """Call `listener` with every notice, at once: it has to be quick, and not to raise. Returns how to stop it."""
        return self.screen.listen(listener)

    def notices(self) -> AsyncIterator[Notice]:
        """Every notice from now on."""
        return self.screen.notices()

    def _own_channels(self, url: str) -> list[str]:
        """What the endpoint would subscribe by itself; asked for with what is known already."""
        own = [self.session.ent, f"user/{self.subject}/rooms", f"user/{self.subject}/documents"]
        locations = parse_qs(urlsplit(url).query).get("location", [])
        return own + [f"location/{location}/rooms" for location in locations]
