"""What drives a client under test: it is told what to do and asked what it knows."""

import asyncio
import contextlib
import json
import random
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, Self

from realtime.client.backoff import FullJitter
from realtime.client.errors import LiveClosedError, LiveError
from realtime.client.live import LiveClient
from realtime.client.queue import MemoryQueue
from tests.conditions import POLL_S
from tests.protocol.vectors import Encoding, Map


class Driver(Protocol):
    async def start(self, url: str, encoding: Encoding, tokens: Sequence[str]) -> None:
        """Make a client, not connecting yet. Each connection uses the next token, the last one for ever."""

    async def do(self, action: Map) -> None: ...

    async def observe(self, question: Map) -> Any:
        """What the client knows now; None for nothing."""

    async def stop(self) -> None: ...


class KeptQueue(MemoryQueue):
    def __init__(self) -> None:
        super().__init__()
        self.results: dict[int, Map] = {}

    def resolve(self, seq: int, result: Map) -> None:
        super().resolve(seq, result)
        self.results[seq] = result

    def open_seqs(self) -> list[int]:
        return sorted(self._open)


class LiveClientDriver:
    """The Python client of this repository."""

    def __init__(self) -> None:
        self._queue = KeptQueue()
        self._tasks: list[asyncio.Task[Any]] = []
        self._over: int | None = None
        self._refused: dict[str, str] = {}
        self._subscriptions: dict[str, Any] = {}
        self._client: LiveClient | None = None

    @property
    def client(self) -> LiveClient:
        assert self._client is not None
        return self._client

    async def start(self, url: str, encoding: Encoding, tokens: Sequence[str]) -> None:
        supply = _each_then_last(tokens)
        backoff = FullJitter(0.01, 0.05, random.Random(1))
        self._client = LiveClient(url, lambda: next(supply), encoding=encoding, queue=self._queue, backoff=backoff)

    async def do(self, action: Map) -> None:
        ((verb, argument),) = action.items()
        match verb:
            case "connect":
                await self.client.start()
                self._spawn(self._watch_the_end())
            case "command":
                self._spawn(self._command(**argument))
                await asyncio.sleep(0)
            case "follow":
                self._subscriptions[argument["ch"]] = self.client.follow(argument["ch"], argument.get("mode", "patch"))
                self._spawn(self._watch_refusal(argument["ch"]))
            case "unfollow":
                self.client.unsubscribe(argument["ch"])
                self._subscriptions.pop(argument["ch"], None)
            case "show":
                self.client.show(argument["ch"], argument["state"])
            case "signal":
                self.client.signal(**argument)
            case _:
                raise ValueError(verb)

    async def observe(self, question: Map) -> Any:
        ((about, argument),) = question.items()
        match about:
            case "result":
                return self._queue.results.get(argument)
            case "queued":
                return self._queue.open_seqs()
            case "over":
                return self._over
            case "refused":
                return self._refused.get(argument)
            case "people":
                subscription = self._subscriptions.get(argument)
                return (
                    None
                    if subscription is None
                    else {one: there["state"] for one, there in subscription.people.items()}
                )
            case "state":
                subscription = self._subscriptions.get(argument["ch"])
                if subscription is None or not subscription.current:
                    return None
                known = subscription.entities.get(argument["ent"])
                return None if known is None else {"ver": known.version, "state": known.state}
            case _:
                raise ValueError(about)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.close()

    def _spawn(self, work: Any) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work))

    async def _command(self, **command: Any) -> None:
        with contextlib.suppress(LiveError):
            await self.client.command(**command)

    async def _watch_the_end(self) -> None:
        try:
            while True:
                await self.client.connected()
                await asyncio.sleep(POLL_S)
        except LiveClosedError as error:
            self._over = error.code

    async def _watch_refusal(self, channel: str) -> None:
        try:
            await self._subscriptions[channel].until(lambda _: False)
        except LiveClosedError:
            pass
        except LiveError as error:
            self._refused[channel] = getattr(error, "code", "")


class ProcessDriver:
    """A client in any language, as a process: one JSON line in for each `start`, `do`, `observe`; one out for each."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process: Process | None = None

    async def __aenter__(self) -> Self:
        return self

    async def start(self, url: str, encoding: Encoding, tokens: Sequence[str]) -> None:
        self._process = await asyncio.create_subprocess_exec(*self._command, stdin=PIPE, stdout=PIPE)
        await self._ask({"start": {"url": url, "encoding": encoding, "tokens": list(tokens)}})

    async def do(self, action: Map) -> None:
        await self._ask({"do": action})

    async def observe(self, question: Map) -> Any:
        return await self._ask({"observe": question})

    async def stop(self) -> None:
        if self._process is None or self._process.stdin is None:
            return
        self._process.stdin.close()
        with contextlib.suppress(ConnectionError):
            await self._process.stdin.wait_closed()
        try:
            await asyncio.wait_for(self._process.wait(), 5)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _ask(self, message: Map) -> Any:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(message).encode() + b"\n")
        await process.stdin.drain()
        line = await process.stdout.readline()
        if not line:
            raise ConnectionError("the client's process has ended")
        try:
            return json.loads(line)
        except ValueError as error:
            raise ConnectionError(f"the client's process said {line!r}") from error


def _each_then_last(tokens: Sequence[str]) -> Iterator[str]:
    yield from tokens
    while True:
        yield tokens[-1]
