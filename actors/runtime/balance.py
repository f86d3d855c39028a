"""Which shards should move where: plain arithmetic over the shard map."""

from collections.abc import Iterable, Mapping

import msgspec

from storage.journal.interface import ShardMap


class Move(msgspec.Struct, frozen=True):
    """Shards to move from one host to another."""

    shards: tuple[int, ...]
    source: str
    target: str


def owned(shard_map: ShardMap) -> dict[str, list[int]]:
    """Shards by owner; those without an owner under the empty name."""
    by_owner: dict[str, list[int]] = {}
    for shard, owner in enumerate(shard_map.owners):
        by_owner.setdefault(owner, []).append(shard)
    return by_owner


def spread_over(shards: Iterable[int], source: str, targets: Mapping[str, int]) -> list[Move]:
    """Give all `shards` of `source` away so that the targets, which hold this many already, end as even as can be."""
    held = dict(targets)
    given: dict[str, list[int]] = {name: [] for name in targets}
    for shard in shards:
        least = min(held, key=lambda name: (held[name], name))
        held[least] += 1
        given[least].append(shard)
    return [Move(tuple(moving), source, target) for target, moving in given.items() if moving]


def next_move(shard_map: ShardMap, active: Iterable[str], leaving: Iterable[str], slice_max: int) -> Move | None:
    """The next planned move, at most `slice_max` shards: first empty who is leaving, then even out the active.

    Hosts that differ by one shard are even. Returns None when there is nothing to do.
    """
    by_owner = owned(shard_map)
    counts = {name: len(by_owner.get(name, ())) for name in active}
    if not counts:
        return None
    for source in leaving:
        if by_owner.get(source):
            moves = spread_over(by_owner[source][:slice_max], source, counts)
            return moves[0]
    fullest = max(counts, key=lambda name: (counts[name], name))
    emptiest = min(counts, key=lambda name: (counts[name], name))
    surplus = (counts[fullest] - counts[emptiest]) // 2
    if surplus < 1:
        return None
    return Move(tuple(by_owner[fullest][: min(surplus, slice_max)]), fullest, emptiest)
