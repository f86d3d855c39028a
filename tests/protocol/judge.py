"""What a client has to keep to on every socket, whatever a vector is about."""

import json
from typing import Any

from realtime.codec import JSON, MSGPACK, BadFrameError, Codec, UnknownFrameError
from realtime.limits import DEFAULTS
from tests.protocol.vectors import Encoding, Map

CODECS: dict[Encoding, Codec] = {"json": JSON, "msgpack": MSGPACK}


class BreachError(AssertionError):
    """The client did what no client may do."""


class Judge:
    """One client over all of its sockets. `bodies`: what each (epoch, seq) was; it never becomes something else."""

    def __init__(self, encoding: Encoding) -> None:
        self._codec = CODECS[encoding]
        self._bodies: dict[tuple[int, int], str] = {}
        self._answers: dict[int, set[int]] = {}
        self._epoch = 0
        self._unanswered: set[int] = set()
        self._sent = 0
        self._greeted = False
        self._welcomed = False

    @property
    def _answered(self) -> set[int]:
        """Commands of the epoch at hand that have their results."""
        return self._answers.setdefault(self._epoch, set())

    def connected(self) -> None:
        self._unanswered.clear()
        self._sent = 0
        self._greeted = self._welcomed = False

    def heard(self, data: str | bytes, frame: Map) -> None:
        """The client has sent this."""
        try:
            self._codec.decode(data, DEFAULTS.frame_bytes_max)
        except (BadFrameError, UnknownFrameError) as error:
            raise BreachError(f"not a frame of the protocol: {error}") from None
        if (frame["t"] == "hello") is self._greeted:
            raise BreachError("the hello comes first and once")
        if self._greeted and not self._welcomed:
            raise BreachError(f"{frame['t']} before the welcome")
        self._greeted = True
        if frame["t"] == "hello":
            self._epoch = frame.get("epoch", 0)
        if frame["t"] == "command":
            self._command(frame)
        elif frame["t"] == "ack":
            given = [seq for seq in range(1, frame["results_upto"] + 1) if seq not in self._answered]
            if given:
                raise BreachError(f"acknowledges results that were not given: {given}")

    def said(self, frame: Map) -> None:
        """The server is about to send this."""
        if frame.get("t") == "welcome":
            self._welcomed = True
        elif frame.get("t") == "result":
            self._answers.setdefault(frame["epoch"], set()).add(frame["seq"])
            self._unanswered.discard(frame["seq"])
        elif frame.get("t") == "error" and frame.get("of") == "command":
            self._unanswered.discard(frame["ref"])
            if frame.get("temporary"):
                self._sent = min(self._sent, frame["ref"] - 1)

    def _command(self, frame: Map) -> None:
        epoch, seq = frame["epoch"], frame["seq"]
        body = json.dumps({key: value for key, value in frame.items() if key != "hlc"}, sort_keys=True)
        if self._bodies.setdefault((epoch, seq), body) != body:
            raise BreachError(f"command {seq} has become another one")
        if self._sent and seq != self._sent + 1 and not self._skips_answered(seq):
            raise BreachError(f"command {seq} after {self._sent}")
        self._sent = seq
        self._unanswered.add(seq)
        if len(self._unanswered) > DEFAULTS.commands_in_flight_max:
            raise BreachError(f"{len(self._unanswered)} commands in flight")

    def _skips_answered(self, seq: int) -> bool:
        return all(one in self._answered for one in range(self._sent + 1, seq))


def readable(frame: Any) -> str:
    return json.dumps(frame, default=repr)[:400]
