"""The socket of a client: it connects, comes back with a random pause, and ends when the server says so.

A dead peer is found within bounds: WebSocket pings every few seconds for half-open sockets, a time limit for the
welcome, and one for results, should a gateway answer pings and nothing else.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from realtime.client.backoff import FullJitter
from realtime.client.encoding import Encoder, Message
from realtime.client.errors import LiveClosedError
from realtime.client.limits import DEFAULTS, ClientLimits
from realtime.codes import may_reconnect

log = structlog.get_logger()

_RETRIED_STATUS: Final = frozenset({404, 408, 425, 429})  # 404: the ingress, while no gateway is there
_GARBLED: Final = (ValueError, TypeError, LookupError, AttributeError)
_LOST: Final = 1006


class Peer(Protocol):
    """What a link carries frames for."""

    async def hello(self) -> Message:
        """The first frame of a connection."""

    async def received(self, frame: Message) -> None: ...

    def outgoing(self) -> Iterable[Message]:
        """Frames to send now, each once; asked again after `wake`."""

    def stalled(self) -> bool:
        """Whether the server owes an answer for too long."""

    def lost(self, code: int) -> None:
        """The connection has ended, with the close code that the server gave or 1006."""

    def ended(self, error: LiveClosedError) -> None:
        """It will not come back."""


class Link:
    """`start`, then `cut` and `mend` as often as wanted, then `stop`."""

    def __init__(
        self,
        url: str,
        encoder: Encoder,
        peer: Peer,
        *,
        backoff: FullJitter,
        headers: Mapping[str, str],
        limits: ClientLimits = DEFAULTS,
    ) -> None:
        self.garbled = 0
        self._url = url
        self._encoder = encoder
        self._peer = peer
        self._backoff = backoff
        self._headers = dict(headers)
        self._limits = limits
        self._work = asyncio.Event()
        self._wanted = asyncio.Event()
        self._wanted.set()
        self._runner: asyncio.Task[None] | None = None
        self._over = False

    def start(self) -> None:
        """Begin connecting, also again after an end."""
        if self._runner is None or self._runner.done():
            self._over = False
            self._runner = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.cancel()
            await asyncio.gather(runner, return_exceptions=True)

    async def cut(self) -> None:
        """Close the socket and stay away until `mend`."""
        self._wanted.clear()
        await self.stop()

    def mend(self) -> None:
        """Come back at once."""
        self._wanted.set()
        self._backoff.succeeded()
        self.start()

    @property
    def wanted(self) -> bool:
        return self._wanted.is_set()

    def wake(self) -> None:
        """There is something to send."""
        self._work.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._over:
            began = loop.time()
            pause = await self._attempt()
            if loop.time() - began >= self._limits.steady_seconds:
                self._backoff.succeeded()
            if not self._over:
                await asyncio.sleep(self._backoff.next_pause() if pause is None else pause)

    async def _attempt(self) -> float | None:
        """One connection, from beginning to end; the pause that the server asks for, if it does."""
        code, pause = _LOST, None
        try:
            async with connect(
                self._url,
                subprotocols=[self._encoder.subprotocol],  # type: ignore[list-item]
                additional_headers=self._headers,
                compression=None,
                open_timeout=self._limits.open_seconds_max,
                ping_interval=self._limits.ping_seconds,
                ping_timeout=self._limits.ping_seconds,
                close_timeout=1.0,
                max_size=self._limits.frame_bytes_max,
                max_queue=self._limits.frames_waiting_max,
                proxy=None,
            ) as socket:
                pause = await self._converse(socket)
                code = _code(socket.close_code)
        except InvalidStatus as error:
            status = error.response.status_code
            if 400 <= status < 500 and status not in _RETRIED_STATUS:
                self._end(LiveClosedError(status, "the server refused the upgrade"))
        except ConnectionClosed as error:
            code = _code(None if error.rcvd is None else error.rcvd.code)
            if not may_reconnect(code):
                self._end(LiveClosedError(code, "" if error.rcvd is None else error.rcvd.reason))
        except _GARBLED as error:
            self.garbled += 1
            log.warning("frame_not_understood", error=type(error).__name__)
        except (OSError, InvalidHandshake, TimeoutError):
            pass
        except Exception:
            log.exception("link_failed")  # a full disk, a listener that raised: the next connection may do better
        finally:
            self._peer.lost(code)
        return pause

    async def _converse(self, socket: ClientConnection) -> float | None:
        """Until the socket closes; after a `goaway` the pause that the server asks for."""
        async with asyncio.timeout(self._limits.welcome_seconds_max) as patience:
            await socket.send(self._encoder.encode(await self._peer.hello()))
            sender = asyncio.get_running_loop().create_task(self._send(socket))
            try:
                async for data in socket:
                    frame = self._encoder.decode(data)
                    if frame["t"] == "goaway":
                        return self._parting(frame)
                    if frame["t"] == "welcome":
                        patience.reschedule(None)
                    await self._peer.received(frame)
                    if self._peer.stalled():
                        log.warning("no_results")
                        return None
                return None
            finally:
                sender.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectionClosed):
                    await sender

    async def _send(self, socket: ClientConnection) -> None:
        encode = self._encoder.encode
        while True:
            self._work.clear()
            for message in self._peer.outgoing():
                await socket.send(encode(message))
            await self._work.wait()

    def _parting(self, frame: Message) -> float:
        low, high = frame["backoff"]
        return self._backoff.between(low / 1000, min(high, max(low, frame["drain_ms"])) / 1000)

    def _end(self, error: LiveClosedError) -> None:
        self._over = True
        self._peer.ended(error)


def _code(given: Any) -> int:
    return given if isinstance(given, int) else _LOST
