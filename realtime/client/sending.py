"""The way of a client's commands: from the queue to the server, and their results back into the queue."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import structlog

from realtime.client.encoding import Message
from realtime.client.errors import LiveClosedError, LiveRefusedError, StoreError
from realtime.client.limits import ClientLimits
from realtime.client.observer import Observer
from realtime.client.outcome import Result
from realtime.client.queue import Body, CommandQueue, Window

log = structlog.get_logger()

Later = Callable[[float, Callable[[], None]], None]


@dataclass(slots=True)
class Stats:
    """`epochs`: how often the queue had to be renumbered."""

    connects: int = 0
    gaps: int = 0
    duplicates: int = 0
    held: int = 0
    epochs: int = 0


class Sending:
    """`say` sends a frame on the connection at hand, `wake` has `outgoing` asked, `later` ends with the connection."""

    def __init__(
        self,
        queue: CommandQueue,
        observer: Observer,
        stats: Stats,
        say: Callable[[Message], None],
        wake: Callable[[], None],
        later: Later,
        limits: ClientLimits,
    ) -> None:
        self.window = Window(queue, limits.commands_in_flight_max)
        self._limits = limits
        self._queue = queue
        self._observer = observer
        self._stats = stats
        self._say = say
        self._wake = wake
        self._later = later
        self._waiting: dict[int, asyncio.Future[Result]] = {}
        self._unstored: list[Message] = []
        self._storing = False
        self._answered = 0
        self._acked = 0
        self._progress = 0.0

    def submit(self, body: Body) -> int:
        seq = self._queue.append(body)
        self._wake()
        return seq

    async def result(self, seq: int) -> Result:
        """Wait for it. Raises what `end` was told, or `LiveRefusedError`."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting[seq] = future
        try:
            return await future
        finally:
            for known in [known for known, one in self._waiting.items() if one is future]:
                del self._waiting[known]

    def outgoing(self) -> Iterator[Message]:
        epoch = self._queue.epoch
        for seq, body in self.window.outgoing():
            self._progress = self._progress or _now()
            yield {"t": "command", "epoch": epoch, "seq": seq, **body}

    def stalled(self) -> bool:
        """Nothing has been answered for too long."""
        return self._progress > 0 and _now() - self._progress > self._limits.result_seconds_max

    def greeted(self, frame: Message) -> None:
        """The welcome: everything without a result goes out, again perhaps."""
        self._queue.skip_to(frame.get("last_seq", 0) + 1)
        self._acked = self._queue.first_unacked() - 1
        self.rewind()

    def rewind(self) -> None:
        self.window.rewind()
        self._wake()

    def lost(self) -> None:
        self.window.hold()
        self._progress = 0.0
        self._store()

    def renumber(self) -> None:
        """The server does not know this count: what is queued goes on under a higher epoch."""
        try:
            numbers = self._queue.renumber()
        except StoreError:
            log.exception("queue_not_renumbered")
            return
        self._stats.epochs += 1
        self.window.renumbered()
        self._waiting = {numbers[seq]: future for seq, future in self._waiting.items() if seq in numbers}
        self._observer.renumbered(numbers)

    def end(self, error: LiveClosedError) -> None:
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(error)

    # -- frames -----------------------------------------------------------------------------------

    def on_result(self, frame: Message) -> None:
        """To be stored together with the others of this moment, then acknowledged and told."""
        if frame["epoch"] != self._queue.epoch:
            return
        self._queue.resolve(frame["seq"], frame)
        self._unstored.append(frame)
        self._progress = _now()
        if not self._storing:
            self._storing = True
            asyncio.get_running_loop().call_soon(self._store)

    def on_error(self, frame: Message) -> None:
        ref = frame["ref"]
        if not self.window.awaits(ref):
            return
        self._progress = _now()
        if frame["temporary"]:
            self._stats.held += 1
            if not self.window.held:
                self.window.hold()
                self._later(frame["retry_after_ms"] / 1000 or self._limits.retry_seconds, self.rewind)
            return
        self.window.hold()
        self._progress = 0.0
        error = LiveRefusedError(frame["code"], frame.get("detail", ""))
        future = self._waiting.get(ref)
        if future is not None and not future.done():
            future.set_exception(error)
        self._observer.refused(ref, error)

    def _store(self) -> None:
        self._storing = False
        if not self._unstored:
            return
        try:
            self._queue.commit()
        except StoreError:
            log.exception("results_not_stored")
            self._storing = True
            asyncio.get_running_loop().call_later(self._limits.store_retry_seconds, self._store)
            return
        frames, self._unstored = self._unstored, []
        for frame in frames:
            self.window.settled(frame["seq"])
            if frame["status"] == "duplicate":
                self._stats.duplicates += 1
        self._answered += len(frames)
        if not self.window.waiting:
            self._progress = 0.0
        self._acknowledge()
        self._wake()
        for frame in frames:
            result = Result.of(frame)
            self._observer.resulted(result)
            future = self._waiting.get(result.seq)
            if future is not None and not future.done():
                future.set_result(result)

    def _acknowledge(self) -> None:
        """Now and then, and when the queue has run empty, so that the server keeps nothing for long."""
        upto = self._queue.first_unacked() - 1
        empty = self._queue.after(upto) is None
        if upto > self._acked and (empty or upto - self._acked >= self._limits.ack_every_results):
            self._acked = upto
            self._say({"t": "ack", "results_upto": upto})


def _now() -> float:
    return asyncio.get_running_loop().time()
