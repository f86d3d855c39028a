"""What one seed's clinic is like: who works there with how many tablets, and what goes wrong."""

import random

import msgspec

from actors.runtime.limits import DEFAULTS as RUNTIME
from actors.runtime.limits import Limits
from realtime.limits import DEFAULTS as REALTIME
from realtime.limits import Limits as LiveLimits
from tests.simulation.profile import Profile

HOST_FAULTS = (
    "kill",
    "hang",
    "zombie",
    "seize",
    "move",
    "lost_request",
    "lost_reply",
    "duplicate",
    "slow_network",
    "commit_lost",
    "commit_unknown",
    "commit_slow",
    "store_away",
    "read_error",
    "snapshots_deleted",
    "passivation",
)
TABLET_FAULTS = (
    "offline",
    "half_open",
    "app_kill",
    "storage_reset",
    "restored_copy",
    "clone",
    "frames_twice",
    "slow_frames",
    "garbled",
    "token_expiry",
    "gateway_kill",
    "gateway_hang",
    "drain",
    "bus_gap",
    "record_lost",
    "command_lost",
    "person_revoked",
    "device_revoked",
    "wrong_clock",
)
FAULTS = (*HOST_FAULTS, *TABLET_FAULTS)


class TabletProfile(msgspec.Struct, frozen=True):
    """`runtime` is what the hosts' simulation goes by. `edits` is how many commands each person gives."""

    runtime: Profile
    live: LiveLimits
    faults: frozenset[str]
    gateways: int
    people: int
    tablets: int
    rooms: int
    edits: int
    think_s: float
    trouble_every_s: float


def profile_of(rng: random.Random, edits: int, faults: frozenset[str] | None = None) -> TabletProfile:
    """Draw a clinic. `faults` fixes the kinds of faults instead of drawing them."""
    if faults is None:
        share, of_hosts = rng.choice((0.0, 0.3, 0.5, 0.8)), rng.choice((0.0, 0.2, 0.5))
        chosen = {fault for fault in TABLET_FAULTS if rng.random() < share}
        faults = frozenset(chosen | {fault for fault in HOST_FAULTS if rng.random() < of_hosts})
    people = rng.choice((2, 2, 3, 4))
    return TabletProfile(
        runtime=_runtime(rng, faults & frozenset(HOST_FAULTS)),
        live=_live(rng),
        faults=faults,
        gateways=rng.choice((1, 2, 2)),
        people=people,
        tablets=people + rng.choice((0, 1, 1, 2)),
        rooms=rng.choice((1, 2)),
        edits=edits,
        think_s=rng.choice((0.05, 0.2, 0.6)),
        trouble_every_s=rng.choice((0.3, 0.8, 2.0)),
    )


def _runtime(rng: random.Random, faults: frozenset[str]) -> Profile:
    return Profile(
        faults=faults,
        limits=_limits(rng),
        hosts=rng.choice((1, 2, 2, 3)),
        clients=0,
        workers=0,
        entities=0,
        steps=0,
        steward=False,
        think_s=0.0,
        chaos_every_s=rng.choice((0.5, 1.0, 2.0)),
    )


def _limits(rng: random.Random) -> Limits:
    return msgspec.structs.replace(
        RUNTIME,
        snapshot_every_versions=rng.choice((2, 8, 256)),
        recent_commands_max=rng.choice((4, 40, 1_024)),
        commit_rows_max=rng.choice((1, 3, 1_000)),
        load_batch_max=rng.choice((1, 100)),
        idle_seconds_max=rng.choice((1, 600)),
        mailbox_commands_max=rng.choice((4, 1_024)),
        exchange_timeout_ms=rng.choice((2_000, 4_000)),
        command_deadline_ms=rng.choice((2_000, 5_000, 15_000)),
        host_down_ms=1_000,
        timer_scan_ms=2_000,
    )


def _live(rng: random.Random) -> LiveLimits:
    """Shorter patience, so that seconds show what takes minutes."""
    return msgspec.structs.replace(
        REALTIME,
        ping_seconds=6.0,
        pong_seconds=2.0,
        hello_seconds=3.0,
        token_grace_seconds=1.5,
        drain_seconds=2.0,
        group_catch_up_seconds=rng.choice((2.0, 8.0)),
        unwatch_linger_seconds=rng.choice((1.0, 5.0)),
        record_batch_max=rng.choice((1, 4, 32)),
        acks_gathered=rng.choice((1, 8, 32)),
    )
