"""A host's side of the calls from gateways: batches of envelopes in, whatever replies are ready out.

A call is not paired with its commands. It brings new ones and takes back any replies that are ready, waiting
a while for the first: so one slow command (a cold entity, a long commit) holds up nobody else's answer.
"""

import asyncio
from typing import TYPE_CHECKING

import msgspec
import structlog

from actors.runtime.host import Host
from actors.runtime.traces import traced_sink
from actors.runtime.wire import FAILED, Incoming, Outgoing, Reply
from domain.errors import Internal
from storage.tracing.context import MARK

if TYPE_CHECKING:
    from storage.tracing.tracer import Tracer

log = structlog.get_logger()

_decode = msgspec.msgpack.Decoder(Outgoing)
_encode = msgspec.msgpack.Encoder()


class _Outbox:
    """Replies for one session of one client, and the calls that wait for some."""

    __slots__ = ("_floor", "_gather_s", "_gathering", "_seen", "asked", "owed", "parked", "replies", "session", "used")

    def __init__(self, session: int, gather_s: float) -> None:
        self.session = session
        self.owed = 0
        """Requests taken and not answered yet."""
        self._gather_s = gather_s
        self._gathering: asyncio.TimerHandle | None = None
        self.asked = False
        """Whether anything was asked in this session: otherwise nothing will ever be there to wait for."""
        self.replies: list[Reply] = []
        self.parked: list[asyncio.Future[None]] = []
        self.used = 0.0
        """When the last call came (loop time)."""
        self._floor = 0
        self._seen: set[int] = set()

    def takes(self, number: int) -> bool:
        """Whether the call of this number is here for the first time."""
        if number < self._floor or number in self._seen:
            return False
        self._seen.add(number)
        while self._floor in self._seen:
            self._seen.discard(self._floor)
            self._floor += 1
        if len(self._seen) > _CALLS_SEEN_MAX:  # it was idle so long that its first calls were forgotten
            self._floor = max(self._seen) - _CALLS_SEEN_MAX // 2
            self._seen = {one for one in self._seen if one >= self._floor}
        return True

    def put(self, reply: Reply) -> None:
        """A reply is ready. While others are expected it waits a moment for them: calls cost more than replies."""
        self.replies.append(reply)
        self.owed -= 1
        if not self.parked:
            return
        if self.owed <= 0:
            _wake(self.parked[0])
        elif self._gathering is None:
            self._gathering = self.parked[0].get_loop().call_later(self._gather_s, self._gathered)

    def _gathered(self) -> None:
        self._gathering = None
        if self.parked and self.replies:
            _wake(self.parked[0])


class HostEndpoint:
    def __init__(self, host: Host, tracer: "Tracer | None" = None) -> None:
        self._host = host
        self._tracer = tracer
        self._outboxes: dict[str, _Outbox] = {}

    @property
    def clients(self) -> int:
        """How many clients are remembered."""
        return len(self._outboxes)

    async def exchange(self, payload: bytes) -> bytes:
        """Submit a msgpack `Outgoing`, return a msgpack `Incoming`."""
        message = _decode.decode(payload)
        outbox = self._outbox(message)
        if outbox is None:
            return self._encode([])
        submit, put = self._host.submit, outbox.put
        outbox.owed += len(message.envelopes)
        tracer = self._tracer
        if tracer is None:
            for env in message.envelopes:
                submit(env, put)
        else:
            for env in message.envelopes:
                submit(env, traced_sink(tracer, env, put) if MARK in env.correlation else put)
        outbox.asked = outbox.asked or bool(message.envelopes)
        if not outbox.replies and outbox.asked:
            await self._park(outbox)
        return self._encode(self._take(outbox))

    def _encode(self, replies: list[Reply]) -> bytes:
        epoch, map_version = self._host.lease.epoch, self._host.shards.map.version
        try:
            return _encode.encode(Incoming(epoch, map_version, replies))
        except Exception:
            log.exception("reply_not_encoded", replies=len(replies))
            return _encode.encode(Incoming(epoch, map_version, [_sayable(reply) for reply in replies]))

    def _outbox(self, message: Outgoing) -> _Outbox | None:
        """Where the replies to this call go; None: nobody waits for it (given up on, or here for the second time)."""
        outbox = self._outboxes.get(message.client)
        if outbox is None or message.session > outbox.session:
            if outbox is not None:
                for waiter in outbox.parked:
                    _wake(waiter)
            else:
                self._forget_gone()
            outbox = self._outboxes[message.client] = _Outbox(
                message.session, self._host.limits.exchange_gather_ms / 1000
            )
        outbox.used = asyncio.get_running_loop().time()
        if message.session < outbox.session or not outbox.takes(message.number):
            return None
        return outbox

    def _forget_gone(self) -> None:
        """A client that waits for something calls every second: these are dead, or have nothing to take."""
        since = asyncio.get_running_loop().time() - _FORGET_SECONDS
        gone = [name for name, outbox in self._outboxes.items() if outbox.used < since and not outbox.parked]
        for name in gone:
            del self._outboxes[name]

    async def _park(self, outbox: _Outbox) -> None:
        """Wait for a reply; an older waiting call is sent home soon, so that its client can bring more."""
        limits, loop = self._host.limits, asyncio.get_running_loop()
        if outbox.parked:
            loop.call_later(limits.exchange_linger_ms / 1000, _wake, outbox.parked[0])
        waiter: asyncio.Future[None] = loop.create_future()
        outbox.parked.append(waiter)
        timer = loop.call_later(limits.exchange_wait_ms / 1000, _wake, waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            outbox.parked.remove(waiter)

    def _take(self, outbox: _Outbox) -> list[Reply]:
        """As many replies as fit one call; the rest goes with the next one."""
        room = self._host.limits.exchange_bytes_max
        replies = outbox.replies
        for count, reply in enumerate(replies):
            room -= len(reply.view) + _REPLY_OVERHEAD_BYTES
            if room < 0 and count:
                outbox.replies = replies[count:]
                if outbox.parked:
                    _wake(outbox.parked[0])
                return replies[:count]
        outbox.replies = []
        return replies


_REPLY_OVERHEAD_BYTES = 48
_FORGET_SECONDS = 120.0
_CALLS_SEEN_MAX = 256
"""Far more calls than one client has under way."""
_UNSAYABLE = Internal("the answer could not be encoded").failure


def _sayable(reply: Reply) -> Reply:
    """One entity's answer that cannot be encoded must not keep back those of the others."""
    try:
        _encode.encode(reply)
    except Exception:
        return Reply(reply.corr, FAILED, failure=_UNSAYABLE)
    return reply


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
