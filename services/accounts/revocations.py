"""Taking back what has not run out yet: access tokens of ended logins, of people shut out, of roles that are gone.

Postgres has the truth, written in the transaction that ends the login or takes the role. Every gateway keeps all of it
in memory (`services.revocation_list`), hears of news by Redis, and reads what it may have missed from Postgres: at the
start, after a gap in listening, and every few seconds anyway.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec
import structlog

from domain.errors import Unavailable
from domain.times import SECOND_MS
from services.lookups import Clock
from services.revocation_list import ENTRIES_MAX, RevocationList
from storage.accounts.revocations import Ending, Revocation, for_ever, up_to

CHANNEL: Final = "atrium:revocations"
LOOK_SECONDS: Final = 5.0
"""How often Postgres is asked for news that Redis has not brought."""
LATE_SECONDS: Final = 30.0
"""After so long without a look (the database was away, the process was stopped) the last minute is not enough."""
LOOKS_PER_LOAD: Final = 720
"""About once an hour all are read again, and those that have run out are deleted."""
_PER_MESSAGE_MAX: Final = 500

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Revocation]).decode
_log = structlog.get_logger("services.revocations")


class RevocationStore(Protocol):
    """Each method is one transaction, and raises `Unavailable` when the database is away."""

    async def add(self, revocations: Sequence[Revocation]) -> None: ...
    async def end_person(self, user_id: str, reason: str, now_ms: int) -> int:
        """All logins of this person and whatever else they were issued; how many logins were live."""

    async def recent(self) -> Sequence[Revocation]:
        """Of about the last minute, oldest first."""

    async def all(self, now_ms: int, limit: int) -> Sequence[Revocation]:
        """Those that still matter, newest first."""

    async def prune(self, now_ms: int) -> None: ...


class Publisher(Protocol):
    """`storage.bus.Bus`: never blocks, never raises."""

    def publish(self, channel: str, payload: bytes) -> None: ...


class Revocations:
    """`revoked` is what `Tokens` asks. `publisher` None: there is no other gateway to tell."""

    def __init__(
        self,
        store: RevocationStore,
        revoked: RevocationList,
        clock: Clock,
        publisher: Publisher | None = None,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self.revoked = revoked
        self._store = store
        self._clock = clock
        self._publisher = publisher
        self._look_seconds = look_seconds
        self._missed = asyncio.Event()

    async def revoke_person(self, user_id: str, reason: str) -> int:
        """End all logins of this person and every access token they have; how many logins were live.

        `reason` is a static text (`suspended`). They may log in again as far as their status lets them, and so far
        their API keys go on.
        """
        ended = await self._store.end_person(user_id, reason, self._clock.now_ms())
        await self._later([up_to(user_id, Ending.ENDED, self._clock.now_ms())])
        return ended

    async def outdate(self, *ids: str) -> None:
        """After their roles were changed: these people's (or organizations') access tokens must be refreshed."""
        now = self._clock.now_ms()
        await self._later([up_to(each, Ending.OUTDATED, now) for each in ids])

    async def end_key(self, key_id: str) -> None:
        await self._later([for_ever(key_id, self._clock.now_ms())])

    async def spread(self) -> None:
        """Tell all gateways what was just written, this one before it returns.

        After a commit that wrote revocations. When the database goes away in between, they find it by themselves.
        """
        try:
            found = await self._store.recent()
        except Unavailable:
            _log.warning("revocations_not_spread")
            return
        self._tell(self.revoked.add(found))

    def heard(self, payload: bytes) -> None:
        """A message of another gateway's `spread`."""
        self.revoked.add(_decode(payload))

    def missed(self) -> None:
        """Messages may have been lost: look at once."""
        self._missed.set()

    async def load(self) -> None:
        """All that there is. Raises `Unavailable`."""
        now = self._clock.now_ms()
        await self._store.prune(now)
        found = await self._store.all(now, ENTRIES_MAX)
        self.revoked.forget(now)
        self.revoked.add(reversed(found))
        if len(found) == ENTRIES_MAX:
            self.revoked.reach_back_to(found[-1].recorded_ms)

    async def look_forever(self) -> None:
        """Until cancelled; `load` it before. A database that is away is asked again: what is known stays known."""
        looks, looked_ms = 0, self._clock.now_ms()
        while True:
            looks += 1
            missed = await self._paused()
            late = self._clock.now_ms() - looked_ms > LATE_SECONDS * SECOND_MS
            try:
                await (self.load() if missed or late or looks % LOOKS_PER_LOAD == 0 else self._look())
            except Exception as error:  # the next look finds what this one has not
                _log.warning("revocations_not_read", error=type(error).__name__)
                await asyncio.sleep(self._look_seconds)
                self._missed.set()
            else:
                looked_ms = self._clock.now_ms()

    async def _paused(self) -> bool:
        """Whether messages were missed, so that all is to be read."""
        try:
            async with asyncio.timeout(self._look_seconds):
                await self._missed.wait()
        except TimeoutError:
            return False
        self._missed.clear()
        return True

    async def _look(self) -> None:
        self.revoked.forget(self._clock.now_ms())
        self._tell(self.revoked.add(await self._store.recent()))

    async def _later(self, revocations: Sequence[Revocation]) -> None:
        """In effect here whatever becomes of the database; then durable, then told."""
        self.revoked.add(revocations)
        await self._store.add(revocations)
        self._tell(revocations)

    def _tell(self, revocations: Sequence[Revocation]) -> None:
        if self._publisher is not None:
            for at in range(0, len(revocations), _PER_MESSAGE_MAX):
                self._publisher.publish(CHANNEL, _encode(list(revocations[at : at + _PER_MESSAGE_MAX])))
