"""What one seed's world is like: which faults occur, how tight the limits are, how much is going on.

Swarm testing: each seed leaves some kinds of faults out altogether, so that rare combinations of the rest
get room, and calm worlds check the promises about time.
"""

import random
from typing import Any

import msgspec

from actors.runtime.limits import DEFAULTS, Limits

FAULTS = (
    "kill",
    "hang",
    "zombie",
    "seize",
    "move",
    "scale",
    "lost_request",
    "lost_reply",
    "duplicate",
    "slow_network",
    "commit_lost",
    "commit_unknown",
    "commit_slow",
    "commit_refused",
    "store_away",
    "read_error",
    "snapshots_deleted",
    "passivation",
    "callers_leave",
    "bystander_moves",
)


class Profile(msgspec.Struct, frozen=True):
    faults: frozenset[str]
    limits: Limits
    hosts: int
    clients: int
    workers: int
    entities: int
    steps: int
    steward: bool
    think_s: float
    chaos_every_s: float


def profile_of(rng: random.Random, steps: int, faults: frozenset[str] | None = None) -> Profile:
    """Draw a world. `faults` fixes the kinds of faults instead of drawing them."""
    if faults is None:
        share = rng.choice((0.0, 0.15, 0.3, 0.5, 0.8))
        faults = frozenset(fault for fault in FAULTS if rng.random() < share)
    return Profile(
        faults=faults,
        limits=_limits(rng),
        hosts=rng.choice((1, 2, 2, 3)),
        clients=rng.choice((1, 2, 2)),
        workers=rng.choice((2, 3, 6)),
        entities=rng.choice((1, 2, 4)),
        steps=steps,
        steward=rng.random() < 0.4,
        think_s=rng.choice((0.005, 0.05, 0.15)),
        chaos_every_s=rng.choice((0.1, 0.3, 0.8)),
    )


def _limits(rng: random.Random) -> Limits:
    chosen: dict[str, Any] = {
        "snapshot_every_versions": rng.choice((1, 3, 8, 64)),
        "recent_commands_max": rng.choice((4, 8, 40, 1024)),
        "mailbox_commands_max": rng.choice((2, 4, 256)),
        "host_commands_max": rng.choice((6, 1_000)),
        "commit_rows_max": rng.choice((1, 3, 100)),
        "load_batch_max": rng.choice((1, 2, 100)),
        "snapshot_batch_max": rng.choice((1, 2, 100)),
        "exchange_bytes_max": rng.choice((500, 80_000)),
        "payload_bytes_max": 8_000,
        "idle_seconds_max": rng.choice((1, 2, 600)),
        "live_bytes_max": rng.choice((3_000, 1_000_000)),
        "timer_batch_max": rng.choice((2, 1_000)),
        "exchange_timeout_ms": rng.choice((2_000, 4_000)),
        "host_down_ms": rng.choice((1_000, 3_000)),
        "watch_lease_seconds": 3_600,
    }
    chosen["recent_commands_max"] = max(chosen["recent_commands_max"], min(chosen["mailbox_commands_max"], 40))
    return msgspec.structs.replace(DEFAULTS, **chosen)
