"""The WebSocket generator against a small server that speaks as much of atrium.v1 as it needs."""

from collections import Counter
from contextlib import asynccontextmanager

import msgspec
import pytest
from websockets.asyncio.server import serve

from loadtests.wire import Op
from loadtests.ws_load import WsPlan, run_ws_load

_ADD = Op("cart/1", "add_line", {"product_id": "p", "quantity": 1})


class Devices:
    """Watermarks by device, as the provider session entity keeps them."""

    def __init__(self, misbehave=lambda number: None):
        self.last = Counter()
        self.applied = 0
        self.received = 0
        self.hellos = []
        self.acks = []
        self.pongs = []
        self._misbehave = misbehave

    async def serve(self, socket):
        packed = socket.subprotocol.endswith("msgpack")
        codec = msgspec.msgpack if packed else msgspec.json

        async def say(message):
            encoded = codec.encode(message)
            await socket.send(encoded if packed else encoded.decode())

        device = ""
        async for raw in socket:
            message = codec.decode(raw)
            match message["t"]:
                case "hello":
                    device = message["device_id"]
                    self.hellos.append(message)
                    await say({"t": "welcome", "v": 1, "last_seq": self.last[device]})
                    await say({"t": "ping", "n": 7})
                case "ack":
                    self.acks.append(message["results_upto"])
                case "pong":
                    self.pongs.append(message["n"])
                case "command":
                    self.received += 1
                    await self._command(device, message, socket, say)

    async def _command(self, device, message, socket, say):
        seq = message["seq"]
        trouble = self._misbehave(self.received)
        if trouble == "temporary":
            await say({"t": "error", "ref": seq, "code": "gap", "temporary": True, "retry_after_ms": 5})
            return
        assert seq <= self.last[device] + 1
        status = "duplicate"
        if seq == self.last[device] + 1:
            self.last[device] = seq
            self.applied += 1
            status = "rejected" if trouble == "rejected" else "applied"
        if trouble == "cut":
            socket.transport.abort()
            return
        await say({"t": "result", "epoch": 1, "seq": seq, "status": status, "ent": message["ent"], "ver": seq})


@asynccontextmanager
async def _serving(devices):
    protocols = ["atrium.v1.json", "atrium.v1.msgpack"]
    async with serve(devices.serve, "127.0.0.1", 0, subprotocols=protocols, compression=None) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/v1/live"


def _plan(url, **changes):
    settings = {"scripts": [[_ADD]], "sockets": 4, "seconds": 0.3, "warmup_seconds": 0.05, **changes}
    return WsPlan(url=url, token="t", **settings)


@pytest.mark.parametrize("encoding", ["msgpack", "json"])
async def test_every_result_stands_for_one_applied_command(encoding):
    devices = Devices()
    async with _serving(devices) as url:
        result = await run_ws_load(_plan(url, encoding=encoding))
    assert result.requests > 0
    assert sum(result.acknowledged) == devices.applied
    assert result.outcomes == {"applied": result.requests}
    assert result.unresolved == [0, 0, 0, 0]


async def test_pings_are_answered_and_results_acknowledged_in_strides():
    devices = Devices()
    async with _serving(devices) as url:
        await run_ws_load(_plan(url))
    assert devices.pongs == [7, 7, 7, 7]
    assert devices.acks
    assert all(upto % 32 == 0 for upto in devices.acks)


async def test_a_temporary_error_holds_the_command_and_repeats_it():
    devices = Devices(lambda number: "temporary" if number % 4 == 0 else None)
    async with _serving(devices) as url:
        result = await run_ws_load(_plan(url))
    assert result.errors == 0
    assert result.retried > 0
    assert sum(result.acknowledged) == devices.applied


async def test_a_lost_socket_resumes_and_repeats_its_open_command_under_the_same_seq():
    devices = Devices(lambda number: "cut" if number in {5, 9} else None)
    async with _serving(devices) as url:
        result = await run_ws_load(_plan(url, sockets=2, warmup_seconds=0))
    assert result.outcomes["lost"] == 2
    assert result.outcomes["duplicate"] == 2
    assert len(devices.hellos) == 4
    assert sum(result.acknowledged) == devices.applied


async def test_a_rejected_command_is_an_error_and_the_next_one_goes_on():
    devices = Devices(lambda number: "rejected" if number % 2 else None)
    async with _serving(devices) as url:
        result = await run_ws_load(_plan(url, sockets=1))
    assert result.errors > 0
    assert result.requests > 0
