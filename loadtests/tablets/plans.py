"""What a load of tablets is told, and what it found. Both go between processes as JSON."""

from typing import Final

import msgspec

from loadtests.tablets.fleet import Device
from loadtests.wire import Op

READY_LINE: Final = b"ready\n"
"""Printed when every tablet is connected and has its snapshots (or, returning, when they set out)."""
TAIL_SECONDS: Final = 10.0
"""How long results and changes are awaited after the last command before they count as missing."""


class Ward(msgspec.Struct, frozen=True):
    """A place where several work on one entity: they act in turn, each by the script's next step, which applies
    only after the one before. `version` is the entity's, before the first."""

    ent: str
    version: int
    script: list[Op]
    devices: list[Device]


class Working(msgspec.Struct, frozen=True, kw_only=True, tag="working"):
    """An open loop: each tablet has a command due so many times a second, and it goes out when the one before it in
    the ward has its result. Times count from when it was due."""

    url: str
    wards: list[Ward]
    per_second: float
    seconds: float
    warmup_seconds: float
    tail_seconds: float = TAIL_SECONDS


class Watching(msgspec.Struct, frozen=True, kw_only=True, tag="watching"):
    """One device changes the ward's entity, all others watch: so many changes, one after the other."""

    url: str
    mover: Device
    ward: Ward
    changes: int
    pause_seconds: float
    tail_seconds: float = TAIL_SECONDS


class Returning(msgspec.Struct, frozen=True, kw_only=True, tag="returning"):
    """Tablets that come back at once, each with a queue of commands."""

    url: str
    devices: list[Device]
    queues: list[list[Op]]
    seconds_max: float


class Idling(msgspec.Struct, frozen=True, kw_only=True, tag="idling"):
    """Connected and subscribed until stdin ends."""

    url: str
    devices: list[Device]


Plan = Working | Watching | Returning | Idling


class Figures(msgspec.Struct, frozen=True):
    """Of so many latencies, in milliseconds."""

    count: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    max_ms: float = 0.0

    def __str__(self) -> str:
        return f"p50 {self.p50_ms:,.1f} p99 {self.p99_ms:,.1f} longest {self.max_ms:,.0f} ms"


class TabletResult(msgspec.Struct, frozen=True, kw_only=True):
    """`errors`: commands that did not apply or got no result, pushes that did not come, tablets that were not there.

    `acknowledged[t]` counts the results of tablet `t` that say applied or duplicate.
    """

    seconds: float
    per_second: float = 0.0
    commands: Figures = Figures()
    pushes: Figures = Figures()
    connected: int = 0
    errors: int = 0
    outcomes: dict[str, int] = {}
    acknowledged: list[int] = []

    def summary(self) -> str:
        """One line for people."""
        return (
            f"{self.per_second:,.0f} commands/s, {self.commands}; {self.pushes.count:,} pushes, {self.pushes}; "
            f"{self.outcomes}"
        )
