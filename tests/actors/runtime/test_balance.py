"""Shard moves as arithmetic: they end, they even out, they lose nothing."""

from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.balance import Move, next_move, owned, spread_over
from storage.journal.interface import ShardMap

HOSTS = ["a", "b", "c", "d"]

maps = st.lists(st.sampled_from(HOSTS), min_size=64, max_size=64).map(lambda owners: ShardMap(1, tuple(owners)))


def moved(shard_map: ShardMap, move: Move) -> ShardMap:
    owners = list(shard_map.owners)
    for shard in move.shards:
        assert owners[shard] == move.source
        owners[shard] = move.target
    return ShardMap(shard_map.version + 1, tuple(owners))


@given(maps, st.sets(st.sampled_from(HOSTS), min_size=1), st.integers(1, 64))
def test_moves_end_with_the_leaving_empty_and_the_active_even(
    shard_map: ShardMap, active: set[str], slice_max: int
) -> None:
    leaving = sorted(set(HOSTS) - active)
    for _ in range(2_000):
        move = next_move(shard_map, sorted(active), leaving, slice_max)
        if move is None:
            break
        assert len(move.shards) <= slice_max
        shard_map = moved(shard_map, move)
    counts = {name: len(shards) for name, shards in owned(shard_map).items()}
    assert set(counts) <= active
    assert max(counts.get(name, 0) for name in active) - min(counts.get(name, 0) for name in active) <= 1


@given(maps, st.sampled_from(HOSTS))
def test_a_silent_hosts_shards_are_spread_over_all_others_evenly(shard_map: ShardMap, silent: str) -> None:
    by_owner = owned(shard_map)
    counts = {name: len(by_owner.get(name, ())) for name in HOSTS if name != silent}
    moves = spread_over(by_owner.get(silent, []), silent, counts)
    given_away = sorted(shard for move in moves for shard in move.shards)
    assert given_away == sorted(by_owner.get(silent, []))
    for move in moves:
        shard_map = moved(shard_map, move)
    assert silent not in shard_map.owners


def test_an_even_map_is_left_alone() -> None:
    even = ShardMap(1, tuple(HOSTS[shard % 4] for shard in range(256)))
    assert next_move(even, HOSTS, [], 64) is None
