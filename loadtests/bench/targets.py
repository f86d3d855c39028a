"""What each benchmark must reach on a machine of two cores, and how a figure is held against it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec


class Rule(StrEnum):
    AT_LEAST = "≥"
    AT_MOST = "≤"
    BELOW = "<"
    EQUALS = "="


class Target(msgspec.Struct, frozen=True):
    """One metric's bound. `value` has the metric's unit, which its name ends with."""

    metric: str
    rule: Rule
    value: float

    def met_by(self, figure: float) -> bool:
        match self.rule:
            case Rule.AT_LEAST:
                return figure >= self.value
            case Rule.AT_MOST:
                return figure <= self.value
            case Rule.BELOW:
                return figure < self.value
            case Rule.EQUALS:
                return figure == self.value

    def __str__(self) -> str:
        return f"{self.rule} {self.value:,g}"


TARGETS: Final[Mapping[str, tuple[Target, ...]]] = {
    "commands": (
        Target("durable_commands_per_s", Rule.AT_LEAST, 15_000),
        Target("p99_ms", Rule.AT_MOST, 40),
        Target("ratio_vs_one_call_each", Rule.AT_LEAST, 10),
    ),
    "http": (
        Target("ratio_vs_crud_spread", Rule.AT_LEAST, 3),
        Target("ratio_vs_crud_hot", Rule.AT_LEAST, 5),
        Target("p99_ratio_hot", Rule.AT_MOST, 1 / 8),
    ),
    "auth": (Target("auth_share", Rule.AT_MOST, 0.15),),
    "websocket": (
        Target("commands_per_s", Rule.AT_LEAST, 5_000),
        Target("p99_ms", Rule.AT_MOST, 80),
    ),
    "connected": (
        Target("commands_per_s", Rule.AT_LEAST, 1_000),
        Target("command_p99_ms", Rule.AT_MOST, 100),
        Target("push_p99_ms", Rule.AT_MOST, 100),
        Target("errors", Rule.EQUALS, 0),
    ),
    "fanout": (Target("p99_ms", Rule.AT_MOST, 100), Target("errors", Rule.EQUALS, 0)),
    "replay": (
        Target("lost", Rule.EQUALS, 0),
        Target("duplicated", Rule.EQUALS, 0),
        Target("seconds", Rule.AT_MOST, 30),
    ),
    "sockets": (Target("bytes_per_socket", Rule.AT_MOST, 40_000),),
    "memory": (Target("bytes_per_live_cart", Rule.AT_MOST, 4_096),),
    "activation": (
        Target("cold_p99_ms", Rule.AT_MOST, 25),
        Target("activations_per_s", Rule.AT_LEAST, 3_000),
    ),
    "failover": (
        Target("lost", Rule.EQUALS, 0),
        Target("duplicated", Rule.EQUALS, 0),
        Target("longest_pause_ms", Rule.BELOW, 5_000),
    ),
    "drain": (
        Target("refused", Rule.EQUALS, 0),
        Target("longest_pause_ms", Rule.BELOW, 1_000),
    ),
}


def missed(name: str, metrics: Mapping[str, float]) -> list[Target]:
    """Targets that `metrics` does not meet; a metric that is missing or not a number is missed."""
    return [target for target in TARGETS[name] if not target.met_by(metrics.get(target.metric, float("nan")))]
