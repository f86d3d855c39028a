"""Runs the vectors of `server/` against a server, whatever it is."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from tests.protocol.judge import readable
from tests.protocol.matching import mismatch
from tests.protocol.names import Names
from tests.protocol.vectors import Connect, Encoding, Map, Open, Raw, ServerStep, ServerVector, unrolled, what

HELLO: Final[Map] = {"t": "hello", "v": [1, 1], "epoch": 1}
_ELSEWHERE: Final = "elsewhere"


class SocketClosedError(AssertionError):
    """The server has closed, where a frame was expected. `code` is its close code, 1006 for none."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"the server closed with {code}")


class Peer(Protocol):
    """The client's end of one socket."""

    @property
    def subprotocol(self) -> str: ...

    async def send(self, message: str | bytes) -> None: ...

    async def say(self, frame: Map) -> None:
        """In the encoding that was connected with."""

    async def frame(self) -> Map:
        """The next frame. Raises `SocketClosedError`, or `TimeoutError` when none comes."""

    async def quiet(self) -> Map | None:
        """None when nothing comes for a while, else what came."""

    async def closed(self) -> int:
        """The close code, once the server has closed. Frames before it are dropped. Raises `TimeoutError`."""

    async def hang_up(self) -> None: ...

    async def read(self, reads: bool) -> None:
        """Whether this end takes what the server sends."""


class Server(Protocol):
    """`names` are its world's; `offers` what else it can do (`waits`, `stalls`, `given:…`)."""

    @property
    def names(self) -> Names: ...

    @property
    def offers(self) -> frozenset[str]: ...

    async def connect(
        self, endpoint: str, subprotocols: Sequence[str], headers: Mapping[str, str], encoding: Encoding
    ) -> Peer: ...

    async def wait(self, seconds: float) -> None: ...

    async def given(self, what: str, value: Any) -> None: ...


class ServerRun:
    """One vector in one encoding."""

    def __init__(self, vector: ServerVector, server: Server, encoding: Encoding) -> None:
        self._vector = vector
        self._server = server
        self._encoding = encoding
        self._names = server.names
        self._names.bind("subprotocol", f"atrium.v1.{encoding}")
        self._peers: dict[str, Peer] = {}
        self._elsewhere: dict[str, int] = {}

    async def play(self) -> None:
        """Raises `AssertionError` with the step that failed."""
        number = 0
        try:
            for step in unrolled(self._vector.steps, ServerStep, self._names.bind):
                number += 1
                try:
                    await self._step(step)
                except (AssertionError, TimeoutError, LookupError, ConnectionError) as error:
                    told = f"step {number}, {what(step)} {readable(_plain(getattr(step, what(step))))} on {step.on}"
                    raise AssertionError(f"{told}: {str(error) or type(error).__name__}") from error
        finally:
            for peer in self._peers.values():
                await peer.hang_up()

    async def _step(self, step: ServerStep) -> None:
        verb = what(step)
        argument = getattr(step, verb)
        if verb in {"connect", "open", "time", "given"}:
            await self._around(step.on, verb, argument)
            return
        peer = self._peers[step.on]
        match verb:
            case "client":
                await peer.say(self._names.fill(argument))
            case "raw":
                await peer.send(self._raw(argument))
            case "server":
                self._check(mismatch(argument, await self._next(peer, argument), self._names))
            case "unordered":
                frames = [await self._next(peer, *argument) for _ in argument]
                self._check(mismatch({"$unordered": argument}, frames, self._names))
            case "silence":
                await self._silence(peer)
            case "close":
                code = await peer.closed()
                assert code == argument, f"closed with {code}"
            case "hang_up":
                await peer.hang_up()
            case "read":
                await peer.read(argument)

    async def _around(self, on: str, verb: str, argument: Any) -> None:
        match verb:
            case "connect":
                await self._connect(on, argument)
            case "open":
                await self._open(on, argument)
            case "time":
                await self._server.wait(argument)
            case "given":
                ((told, value),) = argument.items()
                if told == "done":
                    await self._done(**self._names.fill(value))
                else:
                    await self._server.given(told, self._names.fill(value))

    async def _connect(self, on: str, connect: Connect) -> None:
        await self._hang_up(on)
        own = [f"atrium.v1.{self._encoding}"]
        headers = {"Authorization": f"Bearer {self._names.fill(connect.bearer)}"} if connect.bearer else {}
        peer = await self._server.connect(
            self._names.fill(connect.endpoint),
            own if connect.subprotocols is None else self._names.fill(connect.subprotocols),
            headers,
            self._encoding,
        )
        self._peers[on] = peer
        if connect.accepted is not None:
            expected = self._names.fill(connect.accepted)
            assert peer.subprotocol == expected, f"{peer.subprotocol!r} was chosen"

    async def _open(self, on: str, opened: Open) -> None:
        await self._connect(on, Connect(endpoint=opened.endpoint))
        hello = HELLO | {"device_id": f"${{id:device-{on}}}", "token": opened.token} | opened.hello
        await self._peers[on].say({key: value for key, value in self._names.fill(hello).items() if value is not None})
        welcome = await self._next(self._peers[on], {"t": "welcome"})
        self._check(mismatch({"t": "welcome", "v": 1, **opened.welcome}, welcome, self._names))

    async def _done(self, by: str, ent: str, op: str, args: Map | None = None, **more: Any) -> None:
        """Somebody does this on a socket and a device of their own, and it is applied."""
        on = f"{_ELSEWHERE}-{by}"
        if on not in self._peers:
            await self._open(on, Open(token=f"${{token:{by}}}"))
        seq = self._elsewhere[on] = self._elsewhere.get(on, 0) + 1
        peer = self._peers[on]
        await peer.say({"t": "command", "epoch": 1, "seq": seq, "ent": ent, "op": op, "args": args or {}, **more})
        while (frame := await peer.frame())["t"] not in {"result", "error"}:
            pass
        assert frame.get("status") == "applied", readable(frame)

    async def _next(self, peer: Peer, *wanted: Map) -> Map:
        """The next frame that matters; what is ignored still counts where it is expected."""
        expected = {one.get("t") for one in wanted}
        while True:
            frame = await peer.frame()
            if frame["t"] in expected or frame["t"] not in self._vector.ignore:
                return frame

    async def _silence(self, peer: Peer) -> None:
        while (frame := await peer.quiet()) is not None:
            assert frame["t"] in self._vector.ignore, f"the server said {readable(frame)}"

    async def _hang_up(self, on: str) -> None:
        old = self._peers.pop(on, None)
        if old is not None:
            await old.hang_up()

    def _raw(self, raw: Raw) -> str | bytes:
        if raw.base64 is not None:
            return base64.b64decode(raw.base64)
        return str(self._names.fill(raw.text))

    @staticmethod
    def _check(wrong: str | None) -> None:
        assert wrong is None, wrong


def _plain(value: Any) -> Any:
    return (
        {name: getattr(value, name) for name in value.__struct_fields__}
        if hasattr(value, "__struct_fields__")
        else value
    )
