"""A server for one test: as much of atrium.v1 as a tablet needs, one version per entity, changes for who watches."""

import time
from collections import Counter, defaultdict
from contextlib import asynccontextmanager

import msgspec
from websockets.asyncio.server import serve

from domain.hlc import stamp


class TabletServer:
    """`misbehave(number)` of a command may say `silent` (no pushes), `cut`, `temporary` or `rejected`.

    `own` are the channels that the endpoint subscribes by itself.
    """

    def __init__(self, misbehave=lambda number: None, own=()):
        self._own = own
        self.versions = Counter()
        self.last = Counter()
        self.answered = {}
        self.watchers = defaultdict(set)
        self.received = 0
        self.bodies = defaultdict(list)
        self._misbehave = misbehave

    async def serve(self, socket):
        device = ""
        try:
            async for raw in socket:
                message = msgspec.msgpack.decode(raw)
                if message["t"] == "hello":
                    device = message["device_id"]
                    await self._hello(socket, message)
                elif message["t"] == "command":
                    self.received += 1
                    await self._command(socket, device, message)
        finally:
            for watching in self.watchers.values():
                watching.discard(socket)

    async def _hello(self, socket, hello):
        await self._say(socket, t="welcome", last_seq=self.last[hello["device_id"]])
        for channel in (*self._own, *(wanted["ch"] for wanted in hello["subs"])):
            self.watchers[channel].add(socket)
            entities = [{"ent": channel, "ver": self.versions[channel], "state": {}}]
            await self._say(socket, t="snapshot", ch=channel, part=1, last=True, entities=entities)

    async def _command(self, socket, device, command):
        seq, ent, trouble = command["seq"], command["ent"], self._misbehave(self.received)
        if trouble == "temporary" or seq > self.last[device] + 1:
            await self._say(socket, t="error", of="command", ref=seq, code="busy", temporary=True, retry_after_ms=5)
            return
        if seq == self.last[device] + 1:
            self.last[device] = seq
            self.bodies[device].append({name: command[name] for name in ("ent", "op", "args", "hlc")})
            if trouble == "rejected":
                self.answered[device, seq] = {"status": "rejected", "code": "invalid"}
            else:
                self.versions[ent] += 1
                self.answered[device, seq] = {"status": "applied", "ver": self.versions[ent]}
                if trouble != "silent":
                    await self._tell(ent)
        if trouble == "cut":
            socket.transport.abort()
            return
        await self._say(socket, t="result", seq=seq, ent=ent, **self.answered[device, seq])

    async def _tell(self, ent):
        for watcher in list(self.watchers[ent]):
            change = {"ch": ent, "ent": ent, "ver": self.versions[ent], "hlc": stamp(time.time_ns() // 1_000_000)}
            await self._say(watcher, t="change", **change, patch={"status": "held"})

    async def _say(self, socket, **message):
        await socket.send(msgspec.msgpack.encode(message))


@asynccontextmanager
async def serving(server):
    protocols = ["atrium.v1.msgpack"]
    async with serve(server.serve, "127.0.0.1", 0, subprotocols=protocols, compression=None) as listening:
        yield f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}/api/v1/live"
