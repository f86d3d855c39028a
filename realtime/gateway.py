"""All sockets of one gateway process: admission, the common tick, and the drain."""

import asyncio
import random
from collections import Counter
from collections.abc import Coroutine, Iterator
from typing import Any, Final

import structlog

from domain.ids import new_id
from realtime import codes
from realtime.channels import Scope
from realtime.codec import Codec
from realtime.ports import Credentials, Sleep, Socket
from realtime.services import Services
from realtime.session import Session

log = structlog.get_logger()

_DRAIN_STEP_SECONDS: Final = 0.1


class Gateway:
    """`start` it once, `serve` each accepted socket, `drain` before going down. `ended` counts those served."""

    def __init__(self, services: Services, *, sleep: Sleep = asyncio.sleep, rng: random.Random | None = None) -> None:
        self.services = services
        self.draining = False
        self.let_go = 0
        """What refers to itself and was left behind: the server's objects of each upgrade, and of each socket's end."""
        self.closed: Counter[int] = Counter()
        """Sockets that have ended, by close code; 0: they went by themselves."""
        self._sleep = sleep
        self._rng = rng or random.Random()
        self._sessions: set[Session] = set()
        self._ticker: asyncio.Task[None] | None = None
        self._revoked_seen = 0

    def __len__(self) -> int:
        return len(self._sessions)

    def sessions(self) -> Iterator[Session]:
        return iter(self._sessions)

    async def start(self) -> None:
        await self.services.hub.start()
        self._ticker = asyncio.get_running_loop().create_task(self._tick_for_ever())

    async def stop(self) -> None:
        """Close what is left, let running commands end, stop the hub."""
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
        for session in list(self._sessions):
            session.shut(codes.SHUTDOWN, "shutdown")
        running = list(self.services.running)
        if running:
            await asyncio.wait(running, timeout=self.services.limits.close_seconds_max)
        if self.services.presence is not None:
            await self.services.presence.stop()
        await self.services.hub.stop()

    def serve(self, socket: Socket, codec: Codec, scope: Scope, credentials: Credentials) -> Coroutine[Any, Any, None]:
        """One accepted socket, until it is closed. No coroutine of its own: it would wait with every idle socket."""
        if self.draining:
            return self._refuse(socket, codes.SHUTDOWN, "draining")
        if len(self._sessions) >= self.services.limits.connections_max:
            return self._refuse(socket, codes.CONNECTION_LIMIT, "too many connections")
        session = Session(socket, self.services, codec, scope, credentials, new_id())
        self._sessions.add(session)
        self.let_go += 1
        return session.run(self._over)

    def _over(self, session: Session) -> None:
        self._sessions.discard(session)
        closing = session.connection.closing
        self.closed[0 if closing is None else closing.code] += 1
        self.let_go += 1

    def tick(self, now: float) -> None:
        """Deadlines of sockets and watches. Isolated: one session's failure does not stop the others."""
        for session in list(self._sessions):
            try:
                session.tick(now)
            except Exception:
                log.exception("session_tick_failed", connection=session.connection.conn_id)
        self._end_revoked()
        self.services.hub.tick(now)
        if self.services.presence is not None:
            self.services.presence.tick(now)

    def _end_revoked(self) -> None:
        """Close the sockets of whom something was taken back from since the last tick."""
        revoked = self.services.revoked
        if revoked is None or revoked.version == self._revoked_seen:
            return
        self._revoked_seen = revoked.version
        for session in list(self._sessions):
            ending = None if session.ticket is None else revoked.ending(session.ticket)
            if ending == "outdated":
                session.shut(codes.STATE_INVALIDATED, "the rights have changed")
            elif ending is not None:
                session.shut(codes.TOKEN_INVALID, "token_revoked")

    async def drain(self, seconds: float | None = None) -> None:
        """Tell every client to go elsewhere, then close with 4001, spread over `seconds` so that they do not
        all come back at once. Returns when nobody is left or the time is up."""
        limits = self.services.limits
        seconds = limits.drain_seconds if seconds is None else seconds
        self.draining = True
        start = self.services.clock()
        leaving: list[tuple[float, Session]] = []
        for session in list(self._sessions):
            session.goaway(int(seconds * 1000))
            leaving.append((start + self._rng.uniform(0.25, 0.9) * seconds, session))
        leaving.sort(key=lambda one: one[0])
        due = iter(leaving)
        following = next(due, None)
        while self._sessions and self.services.clock() < start + seconds:
            now = self.services.clock()
            while following is not None and following[0] <= now:
                following[1].shut(codes.SHUTDOWN, "shutdown")
                following = next(due, None)
            await self._sleep(min(_DRAIN_STEP_SECONDS, seconds))
        for session in list(self._sessions):
            session.shut(codes.SHUTDOWN, "shutdown")

    async def _tick_for_ever(self) -> None:
        while True:
            await self._sleep(self.services.limits.tick_seconds)
            try:
                self.tick(self.services.clock())
            except Exception:
                log.exception("gateway_tick_failed")

    async def _refuse(self, socket: Socket, code: int, reason: str) -> None:
        try:
            async with asyncio.timeout(self.services.limits.close_seconds_max):
                await socket.close(code, reason)
        except (TimeoutError, ConnectionError) as error:
            log.debug("refused_socket_gone", error=repr(error))
