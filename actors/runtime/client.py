"""The gateway's side of the runtime: `ask` an entity, `read` it, `watch` it.

All commands pending for one host travel in one call; while it is under way the next ones gather. A command
is retried by itself, under the same id, for as long as its deadline allows: a moved shard, a restarted host
or a lost reply are not the caller's business (invariants 1, 4 and 11).
"""

import asyncio
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import structlog

from actors.runtime.clock import Clock
from actors.runtime.entity import SYSTEM, Actor
from actors.runtime.lane import Call, Lane
from actors.runtime.limits import Limits
from actors.runtime.shards import SHARDS, shard_of
from actors.runtime.traces import traced_request
from actors.runtime.wire import (
    COMMAND,
    FAILED,
    NOT_OWNER,
    OK,
    READ,
    UNWATCH,
    UNWATCH_GROUP,
    VIEW_JSON,
    VIEW_MSGPACK,
    VIEW_NONE,
    WATCH,
    WATCH_GROUP,
    Envelope,
    Reply,
)
from domain.errors import AtriumError, DeadlineExceeded, Unavailable, rebuild
from domain.ids import new_command_id
from storage.journal.interface import ShardMap
from storage.tracing.context import current_span

if TYPE_CHECKING:
    from storage.tracing.tracer import Tracer

log = structlog.get_logger()

_pack = msgspec.msgpack.Encoder()
_SWEEP_SECONDS = 0.1


class HostUnavailableError(Exception):
    """The call did not come back: the host died, hangs or is not there. What it carried may have been executed."""


class Transport(Protocol):
    """How a client reaches hosts."""

    async def exchange(self, host: str, payload: bytes) -> bytes:
        """One call. Raises `HostUnavailableError`."""

    async def shard_map(self) -> ShardMap: ...


class Answer(msgspec.Struct, frozen=True):
    """What became of a request: the entity's version, whether this repeats an earlier answer, reply map, view.

    `noop`: nothing was written, so the entity does not know the command's id: a repeat is decided anew.
    """

    version: int
    duplicate: bool
    data: dict[str, Any] | None
    view: bytes
    noop: bool = False


class EntityClient:
    """One per process. `name` identifies it to hosts; `on_host_change` callbacks run when a host was replaced.

    With a `tracer`, what is asked within a sampled request is part of its trace.
    """

    def __init__(
        self, name: str, transport: Transport, clock: Clock, limits: Limits, tracer: "Tracer | None" = None
    ) -> None:
        self.name = name
        self._tracer = tracer
        self._transport = transport
        self._clock = clock
        self._limits = limits
        self._map = ShardMap(0, ("",) * SHARDS)
        self._lanes: dict[str, Lane] = {}
        self._calls: dict[int, Call] = {}
        self._corr = 0
        self._refreshing: asyncio.Task[None] | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._host_changed: list[Callable[[str], None]] = []
        self._closed = False
        self.retries = 0

    async def start(self) -> None:
        await self._refresh_map()

    async def close(self) -> None:
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for lane in self._lanes.values():
            lane.cancel()
        if self._refreshing is not None:
            self._refreshing.cancel()
        for call in list(self._calls.values()):
            self._fail(call, Unavailable("the client was closed"))

    def on_host_change(self, callback: Callable[[str], None]) -> None:
        self._host_changed.append(callback)

    @property
    def pending(self) -> int:
        """Requests not answered yet."""
        return len(self._calls)

    def hosts(self) -> list[str]:
        return sorted(set(self._map.owners) - {""})

    async def ask(
        self,
        kind: str,
        id: str,
        command: Any,
        *,
        actor: Actor,
        command_id: bytes | None = None,
        body_hash: bytes | None = None,
        device: str = "",
        correlation: str = "",
        deadline_ms: int | None = None,
        want: int = VIEW_NONE,
        expect: int = -1,
        hlc: str = "",
        hlc_raw: str = "",
        generation: int = 0,
    ) -> Answer:
        """Have an entity execute a command exactly once; return after it is durable.

        `command_id` (16 bytes) from outside makes a repeat return the first result; `body_hash` tells whether
        it is the same request (default: hash of the command). `deadline_ms` is a duration. `expect` is the
        version the caller insists on. `hlc` and `hlc_raw` go into the turn's `Context`. `generation` is that of the
        `device`'s connection: see `Envelope`. Raises `domain.errors.AtriumError`.
        """
        body = _pack.encode(command)
        env = Envelope(
            corr=0,
            mode=COMMAND,
            kind=kind,
            id=id,
            body=body,
            command_id=command_id or new_command_id(),
            body_hash=body_hash or hashlib.sha256(body).digest()[:16],
            actor=actor,
            device=device,
            correlation=correlation,
            deadline_ms=self._deadline(deadline_ms),
            want=want,
            expect=expect,
            retry=0 if command_id is None else 1,
            hlc=hlc,
            hlc_raw=hlc_raw,
            generation=generation,
        )
        return await self._send(env)

    async def read(
        self,
        kind: str,
        id: str,
        *,
        actor: Actor,
        want: int = VIEW_JSON,
        have: int = -1,
        correlation: str = "",
        deadline_ms: int | None = None,
    ) -> Answer:
        """The entity's durable view, linearizable. With `have` equal to its version the view is empty."""
        return await self._send(self._request(READ, kind, id, actor, want, have, correlation, deadline_ms))

    async def watch(self, kind: str, id: str, *, gateway: str, actor: Actor, have: int = -1) -> Answer:
        """Be told of changes on `atrium:gateway:{gateway}` for `watch_lease_seconds`; answers like `read` (msgpack)."""
        env = self._request(WATCH, kind, id, actor, VIEW_MSGPACK, have, "", None)
        env.device = gateway
        return await self._send(env)

    async def unwatch(self, kind: str, id: str, *, gateway: str) -> None:
        env = self._request(UNWATCH, kind, id, SYSTEM, VIEW_NONE, -1, "", None)
        env.device = gateway
        await self._send(env)

    async def watch_group(self, group: str, *, gateway: str) -> None:
        """Be told of changes of every entity in `group`: registered at every host."""
        await self._at_every_host(WATCH_GROUP, group, gateway)

    async def unwatch_group(self, group: str, *, gateway: str) -> None:
        await self._at_every_host(UNWATCH_GROUP, group, gateway)

    async def _at_every_host(self, mode: int, group: str, gateway: str) -> None:
        async def one(host: str) -> None:
            env = self._request(mode, "", group, SYSTEM, VIEW_NONE, -1, "", None)
            env.device = gateway
            await self._send(env, host)

        await asyncio.gather(*(one(host) for host in self.hosts()))

    def _request(
        self,
        mode: int,
        kind: str,
        id: str,
        actor: Actor,
        want: int,
        have: int,
        correlation: str,
        deadline_ms: int | None,
    ) -> Envelope:
        deadline = self._deadline(deadline_ms)
        return Envelope(0, mode, kind, id, b"", b"", b"", actor, "", correlation, deadline, want, have)

    def _deadline(self, deadline_ms: int | None) -> int:
        return self._clock.now_ms() + (deadline_ms or self._limits.command_deadline_ms)

    async def _send(self, env: Envelope, host: str = "") -> Answer:
        if self._tracer is not None and (span := current_span()) is not None:
            with traced_request(self._tracer, span, env):
                return await self._call(env, host)
        return await self._call(env, host)

    async def _call(self, env: Envelope, host: str) -> Answer:
        if self._closed or len(self._calls) >= self._limits.client_commands_max:
            raise Unavailable("too many commands are waiting", code="client_full", retry_after_ms=500)
        self._corr += 1
        env.corr = self._corr
        call = Call(env, asyncio.get_running_loop().create_future(), host)
        self._calls[env.corr] = call
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)
        self._dispatch(call)
        return await call.future

    def _dispatch(self, call: Call) -> None:
        if call.future.done():
            self._calls.pop(call.env.corr, None)
            return
        if call.host and call.attempts and call.host not in self._map.owners:
            self.answered(Reply(call.env.corr, OK))  # it left meanwhile: there is nothing to watch there
            return
        host = call.host or self._map.owners[shard_of(call.env.kind, call.env.id)]
        if host == "":
            self._again(call, refresh=True)
            return
        lane = self._lanes.get(host)
        if lane is None:
            lane = self._lanes[host] = Lane(host, self, self._transport, self._limits, self._clock.now_ms())
        lane.add(call)

    # -- what lanes report ----------------------------------------------------------------------------------------

    def answered(self, reply: Reply) -> None:
        """A reply came in, possibly of an attempt that was given up: any first answer counts."""
        call = self._calls.get(reply.corr)
        if call is None:
            return
        if reply.status == OK:
            del self._calls[reply.corr]
            if not call.future.done():
                call.future.set_result(Answer(reply.version, reply.duplicate, reply.data, reply.view, reply.noop))
        elif reply.status == FAILED and reply.failure is not None:
            self._fail(call, rebuild(reply.failure))
        else:
            self._again(call, refresh=reply.status == NOT_OWNER)

    def lost(self, calls: list[Call]) -> None:
        """The host did not answer: these may or may not have been executed."""
        for call in calls:
            if call.env.corr in self._calls:
                self._again(call, refresh=True)

    def host_changed(self, host: str) -> None:
        self._map_in_doubt()
        for callback in self._host_changed:
            callback(host)

    def map_seen(self, version: int) -> None:
        if version > self._map.version:
            self._map_in_doubt()

    # -- retrying -------------------------------------------------------------------------------------------------

    def _again(self, call: Call, *, refresh: bool) -> None:
        if refresh:
            self._map_in_doubt()
        call.env.retry += 1
        self.retries += 1
        call.attempts += 1
        pause = self._limits.retry_backoff_ms * 2 ** min(call.attempts - 1, 10)
        pause = min(pause, self._limits.retry_backoff_ms_max) / 1000
        asyncio.get_running_loop().call_later(pause, self._redispatch, call)

    def _redispatch(self, call: Call) -> None:
        if call.env.corr in self._calls and not self._closed:
            self._dispatch(call)

    def _sweep(self) -> None:
        """Give up on calls past their deadline, forget those whose caller went away."""
        now_ms = self._clock.now_ms()
        for call in [one for one in self._calls.values() if one.env.deadline_ms <= now_ms or one.future.done()]:
            self._fail(call, DeadlineExceeded("no answer in time; the same command id may be sent again"))
        loop = asyncio.get_running_loop()
        self._sweeper = loop.call_later(_SWEEP_SECONDS, self._sweep) if self._calls else None

    def _fail(self, call: Call, error: AtriumError) -> None:
        self._calls.pop(call.env.corr, None)
        if not call.future.done():
            call.future.set_exception(error)

    def _map_in_doubt(self) -> None:
        if self._refreshing is None and not self._closed:
            self._refreshing = asyncio.get_running_loop().create_task(self._refresh_quietly())

    async def _refresh_quietly(self) -> None:
        try:
            await self._refresh_map()
            await asyncio.sleep(self._limits.retry_backoff_ms / 1000)
        except Exception as error:
            log.warning("map_not_read", client=self.name, error=repr(error))
            await asyncio.sleep(self._limits.retry_backoff_ms_max / 1000)
        finally:
            self._refreshing = None

    async def _refresh_map(self) -> None:
        newer = await self._transport.shard_map()
        if newer.version > self._map.version:
            before, self._map = self._map, newer
            moves = [(was, now) for was, now in zip(before.owners, newer.owners, strict=True) if was and was != now]
            for host in sorted({was for was, _ in moves} & self._lanes.keys()):
                self._lanes[host].lost_shards()
            for host in sorted({now for _, now in moves}):
                for callback in self._host_changed:
                    callback(host)
