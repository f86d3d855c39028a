"""Everything one client has to say to one host: pending requests gather while a call is under way."""

import asyncio
from typing import TYPE_CHECKING, Protocol

import msgspec
import structlog

from actors.runtime.limits import Limits
from actors.runtime.wire import FAILED, OK, Envelope, Incoming, Outgoing, Reply
from domain.errors import Invalid

if TYPE_CHECKING:
    from actors.runtime.client import Answer, Transport

log = structlog.get_logger()

_encode = msgspec.msgpack.Encoder()
_decode = msgspec.msgpack.Decoder(Incoming)
_ENVELOPE_OVERHEAD_BYTES = 160
_UNSAYABLE = Invalid("the request cannot be encoded", code="unencodable").failure


class Call:
    """One request and its caller. `host` is set for requests to a host rather than to an entity's owner."""

    __slots__ = ("attempts", "env", "future", "host")

    def __init__(self, env: Envelope, future: "asyncio.Future[Answer]", host: str) -> None:
        self.env = env
        self.future = future
        self.host = host
        self.attempts = 0


class LaneOwner(Protocol):
    name: str

    def answered(self, reply: Reply) -> None: ...
    def lost(self, calls: list[Call]) -> None: ...
    def host_changed(self, host: str) -> None: ...
    def map_seen(self, version: int) -> None: ...


class Lane:
    def __init__(self, host: str, owner: LaneOwner, transport: "Transport", limits: Limits, session: int) -> None:
        """`session` must exceed those of an earlier client of the same name: the time does."""
        self.host = host
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._session = session
        self._sent_calls = 0
        self._owner = owner
        self._transport = transport
        self._limits = limits
        self._queue: list[Call] = []
        self._awaiting: dict[int, Call] = {}
        self._scheduled = False
        self._epoch = 0
        self._silent = False
        """The last call did not come back."""

    def add(self, call: Call) -> None:
        self._queue.append(call)
        self._schedule()

    def lost_shards(self) -> None:
        """The host owns less than before: what waits here, perhaps unsent because it hangs, may belong elsewhere."""
        if self._silent:
            self._lose()
        elif self._queue:
            calls, self._queue = self._queue, []
            self._owner.lost(calls)

    def cancel(self) -> None:
        for task in list(self._tasks):
            task.cancel()

    def _schedule(self) -> None:
        """Once per turn of the loop: whatever callers add before then travels together."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._scheduled = False
        while self._queue and len(self._tasks) < self._limits.exchange_calls_max:
            self._send(self._take())
        if self._awaiting and not self._tasks:
            self._send([])

    def _take(self) -> list[Call]:
        room = self._limits.exchange_bytes_max
        for count, call in enumerate(self._queue):
            room -= len(call.env.body) + _ENVELOPE_OVERHEAD_BYTES
            if room < 0 and count:
                taken, self._queue = self._queue[:count], self._queue[count:]
                return taken
        taken, self._queue = self._queue, []
        return taken

    def _send(self, calls: list[Call]) -> None:
        for call in calls:
            self._awaiting[call.env.corr] = call
        task = asyncio.get_running_loop().create_task(self._exchange([call.env for call in calls]))
        self._tasks[task] = None
        task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        self._schedule()

    async def _exchange(self, envelopes: list[Envelope]) -> None:
        session = self._session
        try:
            payload = _encode.encode(Outgoing(self._owner.name, envelopes, session, self._sent_calls))
        except Exception:
            sayable = self._refuse_unsayable(envelopes)
            payload = _encode.encode(Outgoing(self._owner.name, sayable, session, self._sent_calls))
        self._sent_calls += 1
        try:
            async with asyncio.timeout(self._limits.exchange_timeout_ms / 1000):
                raw = await self._transport.exchange(self.host, payload)
            incoming = _decode.decode(raw)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.warning("exchange_failed", host=self.host, requests=len(envelopes), error=type(error).__name__)
            self._silent = True
            self._lose()
            return
        self._silent = False
        for reply in incoming.replies:
            if session != self._session and reply.status != OK:
                continue  # asked again meanwhile: what was done is done, but what was refused may yet be accepted
            self._awaiting.pop(reply.corr, None)
            self._owner.answered(reply)
        self._owner.map_seen(incoming.map_version)
        if incoming.host_epoch > self._epoch:
            first, self._epoch = self._epoch == 0, incoming.host_epoch
            if not first:
                self._lose()  # a new incarnation knows nothing of what the old one was asked
                self._owner.host_changed(self.host)

    def _refuse_unsayable(self, envelopes: list[Envelope]) -> list[Envelope]:
        """One request that cannot be encoded (half a surrogate pair in a name) must not take the others with it."""
        sayable = []
        for env in envelopes:
            try:
                _encode.encode(env)
            except Exception as error:
                log.warning("request_not_encoded", kind=env.kind, error=type(error).__name__)
                self._awaiting.pop(env.corr, None)
                self._owner.answered(Reply(env.corr, FAILED, failure=_UNSAYABLE))
            else:
                sayable.append(env)
        return sayable

    def _lose(self) -> None:
        """A lost call may have carried anyone's reply: all that this host owes is asked again, of whoever owns it now.

        In a new session, so that calls which still wait at the host do not take the new replies with them. What
        was not sent yet goes the same way: it must not wait for a second time-out of a host that hangs.
        """
        self._session += 1
        self._sent_calls = 0
        calls = [*self._awaiting.values(), *self._queue]
        self._awaiting, self._queue = {}, []
        self._owner.lost(calls)
