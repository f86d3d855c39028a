"""One socket of `atrium.v1` with blocking calls and a thread that reads; under Locust, threads are greenlets.

What happens is reported: connecting, results by operation, changes by how long after their commit they arrived.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from threading import Event, Thread
from typing import Any, Final

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from domain.hlc import HybridClock, parse
from domain.ids import new_id
from realtime.client.encoding import ENCODERS, Message

ANSWER_SECONDS_MAX: Final = 15.0
ACK_EVERY_RESULTS: Final = 16
EPOCH: Final = 1
Report = Callable[[str, float, Exception | None], None]
"""What it was, how many milliseconds it took, and why it failed."""
_MSGPACK: Final = ENCODERS["msgpack"]


class RefusedError(Exception):
    """A result that is neither applied nor a duplicate, an `error` frame, or a socket that was closed."""


class LiveSocket:
    """`known` holds the newest version of every entity that was shown. Raises what `connect` raises."""

    def __init__(self, url: str, token: str, report: Report) -> None:
        """Returns when it is welcome."""
        self.known: dict[str, int] = {}
        self._ready = Event()
        self._report = report
        self._token = token
        self._clock = HybridClock(_wall_ms)
        self._device_id = new_id()
        self._seq = 0
        self._answered = 0
        self._results: dict[int, Future[Message]] = {}
        self._welcome: Future[Message] = Future()
        self._watchers: list[tuple[Callable[[], bool], Event]] = []
        began = time.perf_counter()
        self._open = ExitStack()
        self._socket = self._open.enter_context(
            connect(url, subprotocols=[Subprotocol(_MSGPACK.subprotocol)], compression=None, proxy=None)
        )
        self._say(
            t="hello", v=[1, 1], device_id=self._device_id, epoch=EPOCH, token=token, hlc=self._clock.now(), subs=[]
        )
        Thread(target=self._read, daemon=True).start()
        self._tell("connect", began, lambda: self._welcome.result(ANSWER_SECONDS_MAX))

    def command(self, ent: str, op: str, **args: Any) -> None:
        """Send it and wait for its result. What goes wrong is a failure in the statistics."""
        self._seq += 1
        result = self._results[self._seq] = Future()
        began = time.perf_counter()
        frame = {"epoch": EPOCH, "seq": self._seq, "ent": ent, "op": op, "args": args, "hlc": self._clock.now()}

        def ask() -> None:
            self._say(t="command", **frame)
            answer = result.result(ANSWER_SECONDS_MAX)
            if answer["status"] not in {"applied", "duplicate"}:
                raise RefusedError(f"{answer['status']} {answer.get('code', '')}")

        self._tell(f"{ent.partition('/')[0]} {op}", began, ask)

    def snapshot(self) -> None:
        """Wait for the first snapshot that is complete."""
        self._tell("snapshot", time.perf_counter(), lambda: self._within(self._ready))

    def shown(self, ent: str, version: int, began: float) -> None:
        """Wait until this version was pushed; the time counts from `began`."""
        event = Event()
        self._watchers.append((lambda: self.known.get(ent, 0) >= version, event))
        self._look()
        self._tell("shown", began, lambda: self._within(event))

    def close(self) -> None:
        self._open.close()

    # -- in ---------------------------------------------------------------------------------------

    def _read(self) -> None:
        try:
            for raw in self._socket:
                self._heard(_MSGPACK.decode(raw))
        except ConnectionClosed:
            pass
        error = RefusedError(f"closed with {self._socket.close_code}")
        for waiting in (self._welcome, *self._results.values()):
            if not waiting.done():
                waiting.set_exception(error)

    def _heard(self, frame: Message) -> None:
        match frame["t"]:
            case "welcome":
                self._welcome.set_result(frame)
            case "result":
                self._on_result(frame)
            case "snapshot":
                self.known |= {entry["ent"]: entry["ver"] for entry in frame["entities"]}
                if frame["last"]:
                    self._ready.set()
                self._look()
            case "change":
                self._on_change(frame)
            case "error":
                self._on_error(frame)
            case "ping":
                self._say(t="pong", n=frame["n"])
            case "auth_required":
                self._say(t="auth", token=self._token)
            case _:
                pass

    def _on_result(self, frame: Message) -> None:
        waiting = self._results.pop(frame["seq"], None)
        if waiting is None:
            return
        self._answered += 1
        if self._answered % ACK_EVERY_RESULTS == 0:
            self._say(t="ack", results_upto=frame["seq"])
        waiting.set_result(frame)

    def _on_change(self, frame: Message) -> None:
        self.known[frame["ent"]] = frame["ver"]
        late_ms = max(0, _wall_ms() - parse(frame["hlc"])[0])
        self._report(f"{frame['ent'].partition('/')[0]} change", late_ms, None)
        self._look()

    def _on_error(self, frame: Message) -> None:
        waiting = self._results.pop(frame["ref"], None) if frame.get("of") == "command" else None
        error = RefusedError(f"error {frame['code']}")
        if waiting is not None:
            waiting.set_exception(error)
        else:
            self._report(f"{frame.get('of', '')} refused", 0, error)

    def _look(self) -> None:
        for watcher in [one for one in self._watchers if one[0]()]:
            self._watchers.remove(watcher)
            watcher[1].set()

    # -- out --------------------------------------------------------------------------------------

    def _say(self, **message: Any) -> None:
        self._socket.send(_MSGPACK.encode(message))

    def _within(self, event: Event) -> None:
        if not event.wait(ANSWER_SECONDS_MAX):
            raise TimeoutError

    def _tell(self, name: str, began: float, action: Callable[[], object]) -> None:
        """Do it, and report how long it took and how it ended."""
        error: Exception | None = None
        try:
            action()
        except TimeoutError:
            error = RefusedError("no answer in time")
        except (RefusedError, ConnectionClosed) as caught:
            error = caught
        self._report(name, (time.perf_counter() - began) * 1000, error)


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
